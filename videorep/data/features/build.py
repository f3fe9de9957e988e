"""Builds percept shards from arrays of features that others have made: `build-shards features`."""

import collections
import contextlib
import dataclasses
import functools
import itertools
import os
from pathlib import Path

import numpy as np

from videorep.data.features.arrays import FaultyArrayError, features_shape, read_features, read_rate, read_targets
from videorep.data.features.find import find_features, find_targets
from videorep.data.shards.hashes import checksum, hash_file
from videorep.data.shards.keys import BACKGROUND
from videorep.data.shards.parts import carry_out
from videorep.data.shards.plan import Outcome, Recipe, Work
from videorep.data.shards.records import Percept
from videorep.data.videos.find import printable
from videorep.data.videos.job import Job
from videorep.data.videos.labels import list_videos
from videorep.data.videos.segments import label_frames
from videorep.errors import DataError
from videorep.storage import require_apart


def build_features(folder, out, config, **choices):
    """Writes arrays of features (L, D), one per video, as percepts: a record per array, or per piece of one.

    Args:
        folder: Folder of `.npy` and `.npz` files (searched in depth, links followed), or a CSV beside them as for
            `build_clips`; its paths may name the videos, with any suffix.
        out: Folder to make or to complete.
        config: `FeaturesConfig`.
        choices: See `videorep.data.shards.parts.carry_out`; a dry run finds, counts and looks at shapes.
    Returns:
        `Dataset`; with `dry_run` a dict of what would be built.
    Raises:
        ConfigError: an unknown kind of labels or split.
        DataError: no arrays, lists that do not fit, a leak between splits, or too many bad arrays.
        OutputError, ShardError: see `carry_out`.
    """
    return carry_out(functools.partial(_open_work, folder, out, config), out, **choices)


@contextlib.contextmanager
def _open_work(folder, out, config, progress):
    root = Path(folder).parent if str(folder).lower().endswith(".csv") else Path(folder)
    if Path(folder).is_dir():
        require_apart(out, {"FOLDER": folder})
    choices = {name: getattr(config, name) for name in ("labels", "split", "classes", "seed", "allow_leaks")}
    listing = list_videos(folder, **choices, files=find_features(root, config.match, config.array))
    targets = {}
    if config.labels is not None and Path(config.labels).is_dir():
        targets = find_targets(config.labels)
        listing = dataclasses.replace(listing, labels=listing.labels or _name_columns(targets))
        _require_own_targets(listing.videos)
    job = _Job(listing, config, root, targets)
    job.refuse_hopeless()
    made = job.made("build-shards features")
    made["settings"] |= {"targets_sha256": checksum(job.hash_targets())} if targets else {}
    recipe = Recipe("features", "percepts", job.plan, job.labels, made)
    process = functools.partial(job.process, read=job.read)
    yield Work(recipe, process, job.check, functools.partial(job.describe, "videos"))


def _name_columns(targets):
    """Names of the columns that most of the arrays (L, classes) have: the background, which is first, and numbers."""
    counts = collections.Counter()
    for path in targets.values():
        try:
            counts[features_shape(path)[1]] += 1
        except FaultyArrayError:
            continue  # a video that needs it will be left out for that
    if not counts:
        raise DataError("expected arrays (frames, classes) in the folder of --labels, received none; check it")
    return BACKGROUND, *map(str, range(1, max(counts, key=counts.get)))


def _require_own_targets(videos):
    """Raises a DataError where two arrays would get the labels of one video."""
    first = {}
    for name, stem in ((video.file.name, video.file.stem) for video in videos if not video.reason):
        if first.setdefault(stem, name) != name:
            raise DataError(
                f"expected one array per video, received {first[stem]} and {name}; choose with --match, such as "
                "--match 'rgb_*/*.npy'"
            )


class _Job(Job):
    """How arrays become outcomes; `targets` are the arrays with the classes of frames, by name."""

    def __init__(self, listing, config, root, targets):
        super().__init__(listing, config)
        self._root = root
        self._targets = {video.file.name: targets.get(video.file.stem) for video in listing.videos} if targets else {}

    def hash_targets(self):
        """[[name, SHA-256], ...] of the arrays with the classes of frames."""
        return [[name, hash_file(Path(path))] for name, path in self._targets.items() if path is not None]

    def read(self, shards):
        """Generates the `Outcome` of each source of the shards, in order."""
        for source in itertools.chain.from_iterable(shards):
            path = self.paths[source]
            facts = {"file": printable(os.path.relpath(path, self._root))}
            try:
                array = read_features(path, self.config.array, self.config.dtype)
                percept, reason = self._percept(source, array)
                facts |= {"file_sha256": hash_file(Path(path)), "frames": percept.frames}
                yield Outcome(source, [percept], reason, facts)
            except FaultyArrayError as fault:
                yield Outcome(source, [], str(fault), facts)

    def _percept(self, source, array):
        """The `Percept` of an array (L, D), and what is wrong with it though it is written."""
        rate = self.config.fps or read_rate(self.paths[source])
        if not rate and (source.path in self.segments or (source.start, source.end) != (None, None)):
            raise FaultyArrayError("no frame rate: none beside the array; give --fps")
        first, end = (None if time is None else round(time * rate) for time in (source.start, source.end))
        array, flaws = array[first:end], ""
        if not len(array):
            raise FaultyArrayError(f"no frames: none from {source.start or 0:g} s on")
        named = self.named(source)
        if self._targets:
            named["frame_labels"] = self._read_targets(source, len(array))
        elif source.path in self.segments:
            times = np.rint(np.arange(len(array)) * (1e6 / rate))
            named["frame_labels"], empty = label_frames(times, self.segments[source.path])
            flaws = "; ".join(f"no frame in the segment from {begin:g} to {last:g} s" for begin, last, _ in empty)
        start, compression = source.start or 0.0, self.config.compression
        return Percept(array, frame_rate=rate, start=start, compression=compression, **named), flaws

    def _read_targets(self, source, frames):
        if self._targets[source.path] is None:
            raise FaultyArrayError("no label: no array of this name in the folder of --labels")
        return read_targets(self._targets[source.path], frames, len(self.labels))
