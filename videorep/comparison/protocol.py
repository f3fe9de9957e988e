"""How contenders are measured: the same draws of labelled videos, settings chosen on folds of the training videos."""

import time

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from videorep.data.sampling import make_generator

DRAW, FOLD, TRIAL, TRAINING = 11, 12, 13, 14  # keep their random numbers apart
FOLDS = 3
LEAST = 1e-7  # probability that a logarithm is taken of


def list_counts(videos, asked=()):
    """Numbers of labelled videos per class to compare at: those asked for, else 1, 2, 4, ..., as far as every class has
    them, and 0: all."""
    of_classes = np.bincount(videos.labels[videos.training], minlength=len(videos.classes))
    most = min(of_classes.min(), of_classes.max() - 1)  # as many as there are is all
    counts = asked or [1 << power for power in range(int(most).bit_length())]
    return [count for count in counts if count <= most] + [0]


def draw_videos(videos, among, count, seed, draw):
    """`count` videos of every class (fewer where it has fewer), of the videos `among`; all of them where it is 0.

    A draw of more videos holds those of the draw of fewer.
    """
    if not count:
        return np.asarray(among)
    chosen = []
    for label in range(len(videos.classes)):
        members = among[videos.labels[among] == label]
        chosen.append(make_generator(seed, DRAW, draw, label).permutation(members)[:count])
    return np.sort(np.concatenate(chosen))


def make_folds(videos, seed):
    """Pairs (to train on, to choose by) of the training videos; recordings stay together. Too few give no fold."""
    training = videos.training
    labels, groups = videos.labels[training], videos.groups[training]
    recordings = [len(set(groups[labels == label])) for label in range(len(videos.classes))]
    folds = min(FOLDS, *recordings)
    if folds < 2:
        return []
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=int(make_generator(seed, FOLD).integers(2**31)))
    return [(training[a], training[b]) for a, b in splitter.split(training, labels, groups)]


def count_trainings(contender, folds, config):
    """How often `measure` trains a contender for one number of labels: on so many folds, then on every draw."""
    return folds * len(contender.trials(np.random.default_rng(0), config.trials)) + config.draws


def measure(contender, videos, count, config, advance):
    """Chooses a contender's settings for a number of labels, then trains it on every draw and classifies the test side.

    Args:
        contender: With `trials(generator, count)` and `fit(train, test, trial, seed)`; see `Linear`.
        videos: LabelledVideos.
        count: Labelled videos per class; 0 for all.
        config: CompareConfig, of which `draws`, `trials` and `seed` count.
        advance: Called after every training.
    Returns:
        dict: "probabilities" (draws, test videos, K), "held_out" (training videos, K), those of the settings chosen
        when a video was not learnt from (none without folds), "settings" (those chosen), "choice_accuracy" (of them,
        on the folds), "seconds" (of choosing, and of a draw on average).
    """
    began, seed = time.monotonic(), config.seed
    tried, settings, accuracy = contender.trials(make_generator(seed, TRIAL), config.trials), None, None
    folds, held_out = make_folds(videos, seed), np.zeros((0, len(videos.classes)))
    if folds:
        settings, held_out = _choose(contender, videos, tried, folds, count, seed, advance)
        accuracy = float((held_out.argmax(-1) == videos.labels[videos.training]).mean())
    chosen, probabilities = time.monotonic(), []
    for draw in range(config.draws):
        train = draw_videos(videos, videos.training, count, seed, draw)
        trial = tried[0] if settings is None else {key: settings[key] for key in tried[0]}
        fitted = contender.fit(train, videos.test, trial, _weights_seed(seed, draw))
        probabilities.append(_pick(fitted, settings))
        advance(1)
    return {
        "probabilities": np.stack(probabilities),
        "held_out": held_out,
        "settings": settings or tried[0],
        "choice_accuracy": accuracy,
        "seconds": {"choice": chosen - began, "draw": (time.monotonic() - chosen) / config.draws},
    }


def _choose(contender, videos, tried, folds, count, seed, advance):
    """The settings with the most right on the folds, of equal ones those with the larger likelihood; and what they
    gave for each training video when it was held out."""
    of, where = {}, np.searchsorted(videos.training, np.concatenate([held_out for _, held_out in folds]))
    for trial in tried:
        for number, (train, held_out) in enumerate(folds):
            few = draw_videos(videos, train, count, seed, number)
            for more, probabilities in contender.fit(few, held_out, trial, _weights_seed(seed, number)):
                of.setdefault(tuple((trial | more).items()), []).append(probabilities)
            advance(1)
    tables = {settings: np.concatenate(parts)[np.argsort(where)] for settings, parts in of.items()}
    labels = videos.labels[videos.training]

    def merit(settings):
        table = tables[settings]
        likelihood = np.log(np.maximum(table[np.arange(len(labels)), labels], LEAST)).mean()
        return (table.argmax(-1) == labels).mean(), likelihood

    best = max(tables, key=merit)
    return dict(best), tables[best]


def _pick(fitted, settings):
    """The probabilities of the settings chosen; where none could be, the last."""
    for more, probabilities in fitted:
        last = probabilities
        if settings is not None and more.items() <= settings.items():
            break
    return last


def _weights_seed(seed, draw):
    return int(make_generator(seed, TRAINING, draw).integers(2**31))
