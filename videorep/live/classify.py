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
from videorep.live.stages import open_groups
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
        RunError, BackboneError: see `open_groups`.
    """
    groups, progress = open_groups(runs, backbones), progress or SilentProgress()
    classes, videos = runs[0].config.model.classes, find_inputs(names)
    reasons = {video.file.path: video.file.problem for video in videos}
    tables = []
    with (
        WorkerPool(count_cores(), ClipsConfig.timeout) as pool,
        progress.task("Classifying", len(videos) * len(groups), "videos") as advance,
    ):
        for group in groups:
            tables += _classify_group(group, videos, reasons, pool, advance, classes)
    rows = []
    for path in reasons:
        each = [table[path] for table in tables if path in table]
        fused = np.mean(each, axis=0) if len(each) == len(runs) else None
        rows.append((printable(path), fused, reasons[path]))
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


def _classify_group(group, videos, reasons, pool, advance, classes):
    """One {path: (K,) probabilities} per run of a group; notes in `reasons` why a video has none."""
    tables = [_Averages(run, model, classes) for run, model in zip(group.runs, group.models, strict=True)]
    clips = _decode(group.perception, videos, reasons, pool, advance)
    with contextlib.closing(group.perception.extract_clips(clips)) as extracted:
        for path, features in extracted:
            if np.isfinite(features).all():
                for table in tables:
                    table.add(path, features)
            else:
                reasons[path] = f"percepts that {group.perception.stages.percepts.dtype} cannot hold"
    return [table.means() for table in tables]


def _decode(perception, videos, reasons, pool, advance):
    """Yields (path, JPEG images, (height, width)) of every video or piece that can be decoded."""
    usable = [video for video in videos if not video.file.problem]
    advance(len(videos) - len(usable))
    named = {"path": "", "label_index": None, "label_text": None}
    tasks = ((video.file.path, perception.stages.clips, video.start, video.end, named) for video in usable)
    shape = perception.stages.frame_shape
    with contextlib.closing(pool.map(encode_in_worker, tasks)) as results:
        for video, result in zip(usable, results, strict=True):
            path = video.file.path
            (_, facts, reason), data = (("", None, str(result)), b"") if isinstance(result, WorkerError) else result
            if facts is not None and shape and (facts["height"], facts["width"]) != shape[:2]:
                reason = f"frames of {facts['height']}x{facts['width']}, not {shape[0]}x{shape[1]} as in training"
                facts = None
            reasons[path] = reasons[path] or reason
            if facts is not None:
                yield path, *read_images(data, range(facts["frames"]), facts["frames"])
            advance(1, note=video.file.name)


class _Averages:
    """What one run makes of every video: the means over steps, then over blocks."""

    def __init__(self, run, model, classes):
        self._config = run.config.model
        self._order = [self._config.classes.index(name) for name in classes]
        blocks = tf.TensorSpec((None, self._config.block[0], self._config.features))
        self._classify = tf.function(lambda frames: model({"frames": frames}, training=False), [blocks])
        self._blocks = {}

    def add(self, path, features):
        """Takes the features (T, D) of a video, or of a piece of it."""
        length, stride = self._config.block
        _, starts = list_windows(np.array([len(features)]), length, stride, pad=True)
        for first in range(0, len(starts), BATCH_BLOCKS):
            places = starts[first : first + BATCH_BLOCKS, None] + np.arange(length)
            mask = places < len(features)
            frames = np.where(mask[..., None], features[np.minimum(places, len(features) - 1)], np.float32(0))
            per_step = self._classify(frames).numpy().astype(np.float64)
            self._blocks.setdefault(path, []).append(average_steps(per_step, mask).numpy())

    def means(self):
        """{path: (K,) probabilities}."""
        return {path: np.concatenate(blocks).mean(axis=0)[self._order] for path, blocks in self._blocks.items()}
