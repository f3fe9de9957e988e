"""Classifies whole videos: what shards, percepts and evaluation would make of them, without writing any."""

import contextlib
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from videorep.build_config import ClipsConfig
from videorep.data.batches.windows import list_windows
from videorep.data.shards.parse import read_images
from videorep.data.threads import count_cores
from videorep.data.videos.encode import encode_in_worker
from videorep.data.videos.find import VideoFile, find_videos, inspect_file, printable
from videorep.data.videos.labels import Video, read_csv
from videorep.data.videos.workers import WorkerError, WorkerPool
from videorep.errors import DataError
from videorep.live.perception import open_classifiers
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
        RunError, BackboneError: see `open_classifiers`.
    """
    classes, opened = open_classifiers(runs, backbones)
    videos, progress = find_inputs(names), progress or SilentProgress()
    reasons, made = {video.file.path: video.file.problem for video in videos}, []
    usable = [video for video in videos if not video.file.problem]
    with (
        WorkerPool(count_cores(), ClipsConfig.timeout) as pool,
        progress.task("Classifying", len(usable) * len(opened), "videos") as advance,
    ):
        for perception, models in opened:
            own = [(_block_classifier(model, classes), {}) for model in models]
            made += [blocks for _, blocks in own]
            for video, features, reason in _extract(perception, usable, pool):
                path = video.file.path
                reasons[path] = reasons[path] or reason
                for classify, blocks in own if features is not None else []:
                    blocks.setdefault(path, []).append(classify(features))
                advance(1, note=video.file.name)
    rows = []
    for path, reason in reasons.items():
        each = [np.concatenate(blocks[path]).mean(axis=0) for blocks in made if path in blocks]
        rows.append((printable(path), np.mean(each, axis=0) if len(each) == len(runs) else None, reason))
    return classes, rows


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
    """Yields (video, (T, D) features or None, what is wrong or "") of every video or piece."""
    named = {"path": "", "label_index": None, "label_text": None}
    tasks = ((video.file.path, perception.stages.clips, video.start, video.end, named) for video in videos)
    with contextlib.closing(pool.map(encode_in_worker, tasks)) as results:
        for video, result in zip(videos, results, strict=True):
            (_, facts, reason), data = (("", None, str(result)), b"") if isinstance(result, WorkerError) else result
            features = None
            if facts:
                features = perception.extract_clip(*read_images(data, range(facts["frames"]), facts["frames"]))
                if not np.isfinite(features).all():
                    features, reason = None, f"percepts that {perception.stages.percepts.dtype} cannot hold"
            yield video, features, reason


def _block_classifier(model, classes):
    """A function of a video's features (T, D) that gives the probabilities (N, K) of its N blocks."""
    config, order = model.config, [model.config.classes.index(name) for name in classes]
    length, stride = config.block
    spec = [tf.TensorSpec((None, length, config.features))]
    predict = tf.function(lambda frames: model({"frames": frames}, training=False), spec)

    def classify(features):
        _, starts = list_windows(np.array([len(features)]), length, stride, pad=True)
        padded = np.pad(features, ((0, length), (0, 0)))
        places = np.split(starts[:, None] + np.arange(length), range(BATCH_BLOCKS, len(starts), BATCH_BLOCKS))
        per_step = ((part, predict(padded[part]).numpy().astype(np.float64)) for part in places)
        return np.concatenate([average_steps(steps, part < len(features)) for part, steps in per_step])[:, order]

    return classify
