"""Whole videos: what shards, percepts and evaluation would make of them, without writing any; and their surprises."""

import contextlib
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from videorep.build_config import ClipsConfig
from videorep.config import PretrainConfig
from videorep.data.batches.windows import list_windows
from videorep.data.shards.parse import parse_clip, read_images
from videorep.data.threads import count_cores
from videorep.data.videos.encode import encode_in_worker
from videorep.data.videos.find import VideoFile, find_videos, inspect_file, printable
from videorep.data.videos.labels import Video, read_csv
from videorep.data.videos.workers import WorkerError, WorkerPool
from videorep.errors import DataError
from videorep.live.perception import open_runs, shared_classes
from videorep.live.usual import open_surprise
from videorep.models.averaging import average_steps
from videorep.progress import SilentProgress

BATCH_BLOCKS = 64


def classify_videos(runs, names, *, backbones=(), progress=None):
    """Classifies videos; every one ends with probabilities or with the reason why not.

    Frames pass through the stages that the run's shards went through (frames per second, size, JPEG, convnet, storage),
    then blocks and averages are those of `evaluate_action_recognition`. Pieces of one path count as one video.

    Args:
        runs: Runs (`videorep.runs.Run`) of `videorep finetune`; the probabilities of several are averaged.
        names: Videos, folders, which are searched in depth, and lists (.csv) of path[,start,end][,label].
        backbones: Files of convnets that have moved since the percepts were built.
        progress: A reporter of `videorep.progress`, or None for silence.
    Returns:
        (classes, rows): the K names, and one (path, (K,) float64 probabilities or None, reason or "") per video, in
        the order given. A video that is damaged, where the shards kept such, has both.
    Raises:
        RunError, BackboneError: see `open_runs` and `shared_classes`.
    """
    opened, classes = open_runs(runs, backbones), shared_classes(runs)
    reasons, made = _measure_videos(opened, lambda run: _block_classifier(run.model(), classes), names, progress)
    rows = []
    for path, reason in reasons.items():
        each = [np.concatenate(blocks[path]).mean(axis=0) for blocks in made if path in blocks]
        rows.append((printable(path), np.mean(each, axis=0) if len(each) == len(runs) else None, reason))
    return classes, rows


def surprise_videos(run, names, *, ahead=None, backbones=(), progress=None):
    """Measures how much of a surprise every frame of videos is to a predictor; no label is needed.

    Frames pass through the stages that the run's shards went through; the encoder's state is carried on from the first
    frame of a video, or of a piece of one, to its last.

    Args:
        run: Run (`videorep.runs.Run`) of `videorep pretrain` on percepts.
        names, backbones, progress: As for `classify_videos`.
        ahead: See `videorep.live.usual.open_surprise`.
    Returns:
        One (path, (N, 2) float64 or None, reason or "") per video, in the order given: seconds from the beginning of
        the video, and surprise, of every frame that was predicted.
    Raises:
        RunError, ConfigError, OutputError, BackboneError: see `open_runs` and `open_surprise`.
    """
    opened, progress = open_runs([run], backbones, (PretrainConfig,)), progress or SilentProgress()
    surprise, rows = open_surprise(run, ahead, progress), []

    def measure(features, seconds):
        surprises = surprise.measure(features)
        return np.stack([seconds, surprises], axis=1)[~np.isnan(surprises)]

    reasons, [made] = _measure_videos(opened, lambda _: measure, names, progress)
    for path, reason in reasons.items():
        frames = np.concatenate(made[path]) if path in made else np.zeros((0, 2))
        if not (len(frames) or reason):
            reason = "too short: none of its frames was predicted"
        rows.append((printable(path), frames if len(frames) else None, reason))
    return rows


def _measure_videos(opened, open_measure, names, progress):
    """Passes videos through the stages of runs and then through a function of each run.

    Args:
        opened: Of `open_runs`.
        open_measure: Function of a run that gives a function of a piece's features (T, D) and seconds (T,).
    Returns:
        ({path: what is wrong or ""}, [{path: [what the function gave of each of its pieces]} per run]).
    """
    videos, progress = find_inputs(names), progress or SilentProgress()
    reasons, made = {video.file.path: video.file.problem for video in videos}, []
    usable = [video for video in videos if not video.file.problem]
    with (
        WorkerPool(count_cores(), ClipsConfig.timeout) as pool,
        progress.task("Watching", len(usable) * len(opened), "videos") as advance,
    ):
        for perception, runs in opened:
            own = [(open_measure(run), {}) for run in runs]
            made += [pieces for _, pieces in own]
            for video, features, seconds, reason in _extract(perception, usable, pool):
                path = video.file.path
                reasons[path] = reasons[path] or reason
                for measure, pieces in own if features is not None else []:
                    pieces.setdefault(path, []).append(measure(features, seconds))
                advance(1, note=video.file.name)
    return reasons, made


def find_inputs(names):
    """One `Video` per video, piece or other file that the names lead to; `file.problem` says what is wrong with it."""
    found = []
    for name in map(os.fspath, names):
        try:
            if os.path.isdir(name):
                found += [Video(file) for file in find_videos(name)]
            elif name.lower().endswith(".csv"):
                found += read_csv(Path(name), Path(name).parent)
            else:
                found.append(Video(inspect_file(name, printable(name))))
        except DataError as error:
            found.append(Video(VideoFile(name, printable(name), problem=str(error))))
    return found


def _extract(perception, videos, pool):
    """Yields (video, (T, D) features or None, their seconds (T,), what is wrong or "") of every video or piece."""
    named = {"path": "", "label_index": None, "label_text": None}
    tasks = ((video.file.path, perception.stages.clips, video.start, video.end, named) for video in videos)
    with contextlib.closing(pool.map(encode_in_worker, tasks)) as results:
        for video, result in zip(videos, results, strict=True):
            (_, facts, reason), data = (("", None, str(result)), b"") if isinstance(result, WorkerError) else result
            features = seconds = None
            if facts:
                seconds = parse_clip(data)["timestamps"].numpy() / 1e6
                features = perception.extract_clip(*read_images(data, range(facts["frames"]), facts["frames"]))
                if not np.isfinite(features).all():
                    features, reason = None, f"percepts that {perception.stages.percepts.dtype} cannot hold"
            yield video, features, seconds, reason


def _block_classifier(model, classes):
    """A function of a video's features (T, D), and seconds, that gives the probabilities (N, K) of its N blocks."""
    config, order = model.config, [model.config.classes.index(name) for name in classes]
    length, stride = config.block
    spec = [tf.TensorSpec((None, length, config.features))]
    predict = tf.function(lambda frames: model({"frames": frames}, training=False), spec)

    def classify(features, _):
        _, starts = list_windows(np.array([len(features)]), length, stride, pad=True)
        padded = np.pad(features, ((0, length), (0, 0)))
        places = np.split(starts[:, None] + np.arange(length), range(BATCH_BLOCKS, len(starts), BATCH_BLOCKS))
        per_step = ((part, predict(padded[part]).numpy().astype(np.float64)) for part in places)
        return np.concatenate([average_steps(steps, part < len(features)) for part, steps in per_step])[:, order]

    return classify
