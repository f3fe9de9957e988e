"""From names on a command line to the features of videos, and from these to blocks."""

import collections
import contextlib
import itertools
import os
from pathlib import Path

import numpy as np

from videorep.build_config import ClipsConfig
from videorep.data.batches.windows import list_windows
from videorep.data.percepts.inputs import ReceivedInputs
from videorep.data.threads import count_cores
from videorep.data.videos.encode import images_in_worker
from videorep.data.videos.find import VideoFile, find_videos, inspect_file, printable
from videorep.data.videos.labels import Video, read_csv
from videorep.data.videos.workers import WorkerError, WorkerPool
from videorep.errors import DataError, ServerError
from videorep.progress import SilentProgress

BATCH_BLOCKS = 64
INTERRUPTED = "not looked at before the interruption"


def find_inputs(names):
    """One `Video` per video, piece or other file that the names lead to, be it twice, where it comes first;
    `file.problem` says what is wrong with it."""
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
    named = {}
    for each in found:
        named.setdefault((os.path.abspath(each.file.path), each.start, each.end), each)
    return list(named.values())


def perceive_videos(perceptions, videos, take, title, progress=None, stop=()):
    """Lets every video, or piece of one, pass through the stages of each of several perceptions.

    Args:
        take: Called with (perception, video, (T, D) float32 features, (T,) their seconds) of every one that has some.
        title: What is done, for the progress.
        stop: As soon as there is something in it, no further video is looked at.
    Returns:
        {path: what is wrong with it, or ""}, in the order given. A video that is damaged, where the shards kept such,
        was taken all the same.
    """
    reasons = {video.file.path: video.file.problem for video in videos}
    usable = [video for video in videos if not video.file.problem]
    ahead = collections.Counter(video.file.path for video in usable for _ in perceptions)
    with (
        WorkerPool(count_cores(), ClipsConfig.timeout) as pool,
        (progress or SilentProgress()).task(title, len(usable) * len(perceptions), "videos") as advance,
    ):
        for perception in perceptions:
            for video, features, seconds, reason in _extract(perception, usable, pool):
                if stop:
                    break
                ahead[video.file.path] -= 1
                reasons[video.file.path] = reasons[video.file.path] or reason
                if features is not None:
                    take(perception, video, features, seconds)
                advance(1, note=video.file.name)
    return {path: reason or (INTERRUPTED if ahead[path] else "") for path, reason in reasons.items()}


def _extract(perception, videos, pool):
    """Yields (video, (T, D) features or None, their seconds (T,), what is wrong or "") of every video or piece."""
    stages = perception.stages
    tasks = ((video.file.path, stages.clips, video.start, video.end, stages.raw) for video in videos)
    if stages.raw:
        results = pool.stream(images_in_worker, tasks, perception.inputs.receive, perception.inputs.item_bytes)
    else:
        results = pool.map(images_in_worker, tasks)
    with contextlib.closing(results):
        for video, result in zip(videos, results, strict=True):
            features = seconds = None
            if stages.raw:
                inputs = ReceivedInputs(result)
                features, result = perception.extract(inputs), inputs.result
            (seen, reason), data = ((None, str(result)), b"") if isinstance(result, WorkerError) else result
            if seen is None:
                features = None
            else:
                seconds = np.array(seen.timestamps) / 1e6
                try:
                    features = _of_images(perception, seen, data) if features is None else features
                except ServerError as error:
                    reason = str(error)
                if features is not None and not np.isfinite(features).all():
                    features, reason = None, f"percepts that {stages.dtype} cannot hold"
            yield video, features, seconds, reason


def _of_images(perception, seen, data):
    """Features (T, D) of the images that a worker joined to `data`."""
    places = itertools.pairwise(itertools.accumulate(seen.images, initial=0))
    return perception.extract_clip([data[a:b] for a, b in places], (seen.height, seen.width))


def cut_blocks(features, length, stride):
    """Yields the blocks (b, T, D) of a video's features, some at a time, and where they are no padding, (b, T) bool."""
    _, starts = list_windows(np.array([len(features)]), length, stride, pad=True)
    padded = np.pad(features, ((0, length), (0, 0)))
    for first in range(0, len(starts), BATCH_BLOCKS):
        places = starts[first : first + BATCH_BLOCKS, None] + np.arange(length)
        yield padded[places], places < len(features)
