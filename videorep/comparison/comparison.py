"""The honest table: every contender on the same draws of the same videos, and what of the differences is chance."""

import dataclasses
import json

import numpy as np

from videorep.comparison.linear import Majority, mean_pooled, single_frame
from videorep.comparison.protocol import list_counts, make_folds, measure
from videorep.comparison.recurrent import Recurrent, frozen
from videorep.comparison.statistics import holm, interval, paired_test
from videorep.comparison.store import PRETRAINED, RESULT, Store, slug
from videorep.comparison.videos import load_videos
from videorep.comparison_config import NONE
from videorep.config import ClassifierConfig, DataConfig, ModelConfig, PretrainConfig, TrainingConfig
from videorep.data.batches.several import require_no_leak
from videorep.data.batches.sources import open_source
from videorep.data.shards.manifest import load_dataset
from videorep.errors import OutputError, RunError, ShardError
from videorep.locking import alone_in
from videorep.progress import SilentProgress
from videorep.runs import load_run
from videorep.storage import require_apart, require_local, write_text_durably
from videorep.training.finetune import load_pretrained
from videorep.training.pretrain import pretrain

REFERENCE, RANDOM = "mean-pooled", "random weights"
SIGNIFICANT = 0.05
NO_FOLDS = "a class has training videos of one recording only: no settings could be chosen, the usual ones were taken"
INPUT_FRAMES, FUTURE_FRAMES = 16, 13  # as the paper pretrains for actions


def compare(config, out, *, resume=False, overwrite=False, dry_run=False, progress=None):
    """Measures what classifiers get right with few and with many labels, and leaves the table in a folder.

    Contenders: the largest class; logistic regression on mean-pooled frames and on single frames; the LSTM from random
    weights, and from each pretrained model, frozen and finetuned. Each is trained on the same draws of labelled videos
    and tried on the same test videos; its settings are chosen on folds of the training videos, recordings apart.

    Args:
        config: CompareConfig.
        out: Folder: comparison.json, measured/ (probabilities by contender and number of labels), pretrained/ (runs).
        resume, overwrite: Go on with the comparison that is there, or replace what it measured.
        dry_run: Only tell what would be done.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict for JSON: "results" (contender, videos_per_class, 0 for all, accuracies of the draws, mean, deviation,
        interval, settings, seconds), "tests" (paired, each contender with mean-pooled percepts, and finetuned ones with
        random weights), "advice", "warnings".
    Raises:
        ShardError, RunError: the shards cannot be read, or a recording is on both sides.
        OutputError: the folder holds another comparison, or cannot be written.
    Source: Srivastava et al. 2015, sections 3.3 and 4.4, figure 12.
    """
    require_local(out, OutputError)
    folders = [("DATA", config.data)] + [("--unlabelled", path) for path in config.unlabelled]
    for option, path in [*folders, *(("--init", path) for path in config.init)]:
        require_apart(out, {option: path})
    progress = progress or SilentProgress()
    asked = {"kind": "comparison", **dataclasses.asdict(config), "shards": _hashes(config)}
    store = Store(out, asked)
    store.require_free(resume, overwrite)
    initial = [load_pretrained(path) for path in config.init]
    doubts = _require_unseen(config, initial)
    videos = load_videos(DataConfig(config.data))
    _require_alike(videos, initial, config.models)
    counts = list_counts(videos)
    if dry_run:
        facts = {
            "classes": len(videos.classes),
            "training_videos": len(videos.training),
            "test_videos": len(videos.test),
        }
        shown = [count or "all" for count in counts]
        return facts | {"videos_per_class": shown, "draws": config.draws, "trials": config.trials}
    with alone_in(store.folder):
        store.begin(overwrite)
        models = [name for name in config.models if name != NONE]
        runs = initial + [_pretrain(config, name, store.folder, overwrite, progress) for name in models]
        contenders = _list_contenders(config, videos, runs)
        measured = _measure_all(config, videos, contenders, counts, store, progress)
        result = _summarise(config, videos, [each.name for each in contenders], counts, measured)
        result["warnings"] += doubts
        write_text_durably(store.folder / RESULT, json.dumps(result, indent=2) + "\n")
    return result


def _require_unseen(config, initial):
    """Refuses to pretrain, or runs that were pretrained, on what DATA tests on; sentences where nobody can tell."""
    if config.models != (NONE,):
        length = INPUT_FRAMES + FUTURE_FRAMES
        open_source(DataConfig(config.data, also=config.unlabelled), "train", length, hashed=False)
    doubts = []
    for run in initial:
        for path in (run.config.data.path, *run.config.data.also):
            try:
                load_dataset(path)
            except ShardError:
                doubts.append(f"{path}, which {run.path} was made from, cannot be read: it may hold test videos")
                continue
            require_no_leak(dict.fromkeys([config.data, path]))
    return doubts


def _require_alike(videos, initial, models):
    """Raises a RunError where a run is not finished, does not fit the videos, or bears another contender's name."""
    taken = {slug(name): f"the {name} that is pretrained here" for name in models}
    for run in initial:
        run.require_finished()
        features, expected = run.config.model.features, videos.frames.shape[1]
        if features != expected:
            raise RunError(
                f"expected a pretrained run of {expected} features, as {videos.folder} has, received {run.path} of "
                f"{features}; leave it out of --init"
            )
        other = taken.setdefault(slug(run.path.name), run.path)
        if other is not run.path:
            raise RunError(
                f"expected contenders of different names, received {run.path} and {other}; rename the run's folder, or "
                "leave one out"
            )


def _hashes(config):
    return {path: load_dataset(path).provenance["shards"] for path in (config.data, *config.unlabelled)}


def _pretrain(config, name, folder, overwrite, progress):
    """The run of a model pretrained on the training side and on the unlabelled shards."""
    model = ModelConfig(name, 0, (config.units,), INPUT_FRAMES, FUTURE_FRAMES, standardise=True)
    training = TrainingConfig(steps=config.pretrain_steps, precision=config.precision, seed=config.seed)
    data = DataConfig(config.data, also=config.unlabelled)
    out = folder / PRETRAINED / name
    pretrain(PretrainConfig(model, data, training), out, resume=not overwrite, overwrite=overwrite, progress=progress)
    return load_run(out)


def _list_contenders(config, videos, runs):
    shape = ClassifierConfig("lstm", videos.frames.shape[1], (config.units,), videos.classes, standardise=True)
    contenders = [Majority(videos), mean_pooled(videos), single_frame(videos)]
    contenders.append(Recurrent(videos, RANDOM, shape, None, config.precision))
    for run in runs:
        encoder, name = run.model(), f"pretrained {run.path.name}"
        like = dataclasses.replace(shape, units=encoder.config.units, standardise=encoder.config.standardise)
        contenders.append(frozen(videos, f"{name}, frozen", like, encoder))
        contenders.append(Recurrent(videos, f"{name}, finetuned", like, encoder, config.precision))
    return contenders


def _measure_all(config, videos, contenders, counts, store, progress):
    """{(contender, number of labels): what was measured}, as it is kept, be it now or before."""
    shape, results = (config.draws, len(videos.test), len(videos.classes)), {}
    folds = len(make_folds(videos, config.seed))
    trials = {each.name: len(each.trials(np.random.default_rng(0), config.trials)) for each in contenders}
    total = len(counts) * sum(config.draws + folds * trials[each.name] for each in contenders)
    with progress.task("Comparing contenders", total=total, unit="trainings") as advance:
        for contender in contenders:
            for count in counts:
                kept = store.read(contender.name, count, shape)
                if kept is None:
                    new = measure(contender, videos, count, config, lambda n, c=contender: advance(n, note=c.name))
                    store.write(contender.name, count, new)
                    kept = store.read(contender.name, count, shape)
                else:
                    advance(config.draws + folds * trials[contender.name])
                results[contender.name, count] = kept
    return results


def _summarise(config, videos, names, counts, measured):
    labels = videos.labels[videos.test]
    correct = {key: each["probabilities"].argmax(-1) == labels for key, each in measured.items()}
    results = []
    for (name, count), right in correct.items():
        accuracies, each = right.mean(1), measured[name, count]
        results.append(
            {
                "contender": name,
                "videos_per_class": count,
                "accuracies": accuracies.tolist(),
                "mean": float(accuracies.mean()),
                "deviation": float(accuracies.std(ddof=1)) if len(accuracies) > 1 else None,
                "interval": interval(right, config.seed),
                "settings": each["settings"],
                "choice_accuracy": each["choice_accuracy"],
                "seconds": each["seconds"],
            }
        )
    tests = [test for count in counts for test in _tests(names, count, correct)]
    seconds = {row["contender"]: 0.0 for row in results}
    for row in results:
        seconds[row["contender"]] += row["seconds"]["choice"] + config.draws * row["seconds"]["draw"]
    return {
        "data": config.data,
        **{key: getattr(config, key) for key in ("draws", "trials", "seed", "units", "pretrain_steps")},
        "classes": list(videos.classes),
        "training_videos": len(videos.training),
        "test_videos": len(labels),
        "results": results,
        "tests": tests,
        "advice": advise(results, tests, counts),
        "shares": {name: each / max(sum(seconds.values()), 1e-9) for name, each in seconds.items()},
        "warnings": [] if make_folds(videos, config.seed) else [NO_FOLDS],
        "answers": {name: measured[name, 0]["probabilities"].argmax(-1).tolist() for name in names},
        "test_labels": labels.tolist(),
        "test_paths": [videos.paths[number] for number in videos.test],
    }


def _tests(names, count, correct):
    """Each contender against mean-pooled percepts, each finetuned one against random weights; corrected by Holm."""
    pairs = [(name, REFERENCE) for name in names if name not in (REFERENCE, "majority")]
    pairs += [(name, RANDOM) for name in names if name.endswith("finetuned")]
    ps = [paired_test(correct[a, count], correct[b, count]) for a, b in pairs]
    return [
        {
            "a": a,
            "b": b,
            "videos_per_class": count,
            "difference": float(correct[a, count].mean() - correct[b, count].mean()),
            "p": p,
            "p_corrected": corrected,
        }
        for (a, b), p, corrected in zip(pairs, ps, holm(ps), strict=True)
    ]


def advise(results, tests, counts):
    """One sentence: which contender to use with how many labels, and whether more than chance speaks for it."""
    parts = {}
    for count in counts:
        of = {row["contender"]: row["mean"] for row in results if row["videos_per_class"] == count}
        better = [t for t in tests if t["b"] == REFERENCE and t["videos_per_class"] == count and t["difference"] > 0]
        sure = [test for test in better if test["p_corrected"] <= SIGNIFICANT]
        winner = max(sure, key=lambda test: test["difference"])["a"] if sure else REFERENCE
        ahead = f", mean-pooled {of[REFERENCE]:.1%}" if sure else ""
        parts.setdefault(winner, []).append(f"{count or 'all'}: {of[winner]:.1%}{ahead}")
    sentences = [
        f"use {name}{_why(name)} (by labelled videos per class: {', '.join(figures)})"
        for name, figures in parts.items()
    ]
    return "On these data " + "; ".join(sentences) + "."


def _why(name):
    if name == REFERENCE:
        return " percepts and logistic regression, beside which nothing else is better by more than chance"
    return f", better than mean-pooled percepts by more than chance (p at most {SIGNIFICANT}, corrected)"
