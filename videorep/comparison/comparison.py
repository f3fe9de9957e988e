"""The honest table: every contender on the same draws of the same videos, and what of the differences is chance."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

from videorep.comparison.forecast import forecast
from videorep.comparison.linear import Majority, halves_pooled, mean_pooled, single_frame
from videorep.comparison.protocol import count_trainings, list_counts, make_folds, measure
from videorep.comparison.recurrent import Recurrent, frozen
from videorep.comparison.store import PRETRAINED, RESULT, Store
from videorep.comparison.streams import FUTURE_FRAMES, INPUT_FRAMES, fuse_all, open_streams, require_unseen
from videorep.comparison.summary import FINETUNED, HALVES, MAJORITY, RANDOM, REFERENCE, SINGLE, summarise
from videorep.comparison_config import NONE
from videorep.config import ClassifierConfig, DataConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.data.shards.manifest import load_dataset
from videorep.errors import OutputError
from videorep.locking import alone_in
from videorep.progress import SilentProgress
from videorep.runs import load_run
from videorep.storage import require_apart, require_local, write_text_durably
from videorep.training.first_weights import load_pretrained
from videorep.training.pretrain import prepare, pretrain


def compare(config, out, *, resume=False, overwrite=False, dry_run=False, progress=None):
    """Measures what classifiers get right with few and with many labels, and leaves the table in a folder.

    Contenders: the largest class; logistic regression on mean-pooled frames, on the means of both halves of a video and
    on single frames; the LSTM from random weights, and from each pretrained model, frozen and finetuned. Each is
    trained on the same draws of labelled videos and tried on the same test videos; its settings are chosen on folds of
    the training videos, recordings apart. With `config.fuse` each is tried on every stream, and what it makes of all of
    them is fused.

    Args:
        config: CompareConfig.
        out: Folder: comparison.json, measured/ (probabilities by contender and number of labels), pretrained/ (runs).
        resume, overwrite: Go on with the comparison that is there, or replace what it measured.
        dry_run: Only tell what would be done, and what it would take.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict for JSON: "results" (contender, videos_per_class, 0 for all, accuracies of the draws, mean, deviation,
        interval, settings, seconds), "tests" (paired, each contender with mean-pooled percepts, and finetuned ones with
        random weights), "advice", "warnings".
    Raises:
        ShardError, RunError: the shards cannot be read, or a recording is on both sides.
        OutputError: the folder holds another comparison, or cannot be written.
    Source: Srivastava et al. 2015, sections 3.3 and 3.4, figure 12.
    """
    require_local(out, OutputError)
    folders = (("DATA", [config.data, *config.fuse]), ("--unlabelled", config.unlabelled), ("--init", config.init))
    for option, path in ((option, path) for option, paths in folders for path in paths):
        require_apart(out, {option: path})
    progress = progress or SilentProgress()
    asked = {"kind": "comparison", **dataclasses.asdict(config), "shards": _hashes(config)}
    store = Store(out, asked)
    store.require_free(resume, overwrite)
    initial = [load_pretrained(path) for path in config.init]
    doubts = require_unseen(config, initial)
    streams = open_streams(config, initial)
    videos = streams[0].videos
    counts = list_counts(videos, config.videos_per_class)
    if dry_run:
        facts = {
            "classes": len(videos.classes),
            "training_videos": len(videos.training),
            "test_videos": len(videos.test),
        }
        shown = [count or "all" for count in counts]
        facts |= {"videos_per_class": shown, "draws": config.draws, "trials": config.trials}
        return facts | _foretell(config, streams, counts)
    with alone_in(store.folder):
        store.begin(overwrite)
        contenders = {}
        for stream in streams:
            stream.runs += _pretrain(config, stream, store.folder, overwrite, progress)
            contenders |= _list_contenders(config, stream)
        measured = _measure_all(config, videos, contenders, counts, store, progress)
        measured |= fuse_all(measured, streams, counts)
        result = summarise(config, videos, counts, measured)
        result["warnings"] += [*doubts, *_bounds(contenders, streams)]
        write_text_durably(store.folder / RESULT, json.dumps(result, indent=2) + "\n")
    return result


def _hashes(config):
    folders = (config.data, *config.fuse, *config.unlabelled)
    return {path: load_dataset(path).provenance["shards"] for path in folders}


def _pretrain(config, stream, folder, overwrite, progress):
    """The runs of the models pretrained on the training side of a stream and, the first one, on unlabelled shards."""
    for asked in _list_pretrainings(config, stream):
        out = folder / PRETRAINED / stream.name / asked.model.name
        pretrain(asked, out, resume=not overwrite, overwrite=overwrite, progress=progress)
        yield load_run(out)


PRETRAIN_BATCH = 64


def _list_pretrainings(config, stream):
    """The `PretrainConfig`s of a stream."""
    choices = {"batch_size": PRETRAIN_BATCH, "precision": config.precision, "seed": config.seed}
    training = PretrainTrainingConfig(steps=config.pretrain_steps, **choices)
    data = DataConfig(stream.videos.folder, also=() if stream.name else config.unlabelled)
    for name in (name for name in config.models if name != NONE):
        model = ModelConfig(name, 0, (config.units,) * config.layers, INPUT_FRAMES, FUTURE_FRAMES, standardise=True)
        yield PretrainConfig(model, data, training)


def _foretell(config, streams, counts):
    """What the comparison will take: models are made, but not trained; for frozen ones mean-pooled videos stand."""
    contenders, jobs = {}, []
    for stream in streams:
        for asked in _list_pretrainings(config, stream):
            jobs.append(prepare(asked, hashed=False))
            untrained = {"path": Path(asked.model.name), "model": lambda model=jobs[-1].model: model}
            stream.runs.append(SimpleNamespace(**untrained))
        contenders |= _list_contenders(config, stream, freeze=lambda videos, *_: mean_pooled(videos))
    return forecast(config, contenders, jobs, counts)


def _list_contenders(config, stream, freeze=frozen):
    """{name without the stream's: contender}."""
    videos = stream.videos
    units = (config.units,) * config.layers
    shape = ClassifierConfig("lstm", videos.frames.shape[1], units, videos.classes, standardise=True)
    trained = config.precision, config.steps, config.softmax
    contenders = {} if stream.name else {MAJORITY: Majority(videos)}
    contenders |= {REFERENCE: mean_pooled(videos), HALVES: halves_pooled(videos), SINGLE: single_frame(videos)}
    contenders[RANDOM] = Recurrent(videos, shape, None, *trained)
    for run in stream.runs:
        encoder, name = run.model(), f"pretrained {run.path.name}"
        like = dataclasses.replace(shape, units=encoder.config.units, standardise=encoder.config.standardise)
        contenders[f"{name}, frozen"] = freeze(videos, like, encoder)
        contenders[f"{name}, {FINETUNED}"] = Recurrent(videos, like, encoder, *trained)
    return {stream.call(name): each for name, each in contenders.items()}


def _bounds(contenders, streams):
    """Sentences on single frames that learn from fewer frames than `FRAMES_PER_VIDEO`, for want of time."""
    for name in (stream.call(SINGLE) for stream in streams):
        each = contenders[name]
        rows = each.rows_per_video(each.videos.training)
        if rows < each.most:
            yield f"{name}: with all labels it learns from {rows} frames of each video, evenly spread, not {each.most}"


def _measure_all(config, videos, contenders, counts, store, progress):
    """{(contender, number of labels): what was measured}, as it is kept, be it now or before."""
    classes, folds = len(videos.classes), len(make_folds(videos, config.seed))
    shapes = {
        "probabilities": (config.draws, len(videos.test), classes),
        "held_out": (len(videos.training) if folds else 0, classes),
    }
    trainings = {name: count_trainings(each, folds, config) for name, each in contenders.items()}
    results = {(name, count): store.read(name, count, shapes) for name in contenders for count in counts}
    before = sum(trainings[name] for (name, _), kept in results.items() if kept is not None)
    total = len(counts) * sum(trainings.values())
    with progress.task("Comparing contenders", total, unit="trainings", done=before) as advance:
        for name, count in (key for key, kept in results.items() if kept is None):
            contender = contenders[name]
            new = measure(contender, contender.videos, count, config, lambda n, at=name: advance(n, note=at))
            store.write(name, count, new)
            results[name, count] = store.read(name, count, shapes)
    return results
