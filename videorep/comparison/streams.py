"""What is compared: streams of the same videos (RGB, flow), each with its pretrained runs; and their fusion."""

import dataclasses
from pathlib import Path

import numpy as np

from videorep.comparison.store import slug
from videorep.comparison.videos import load_videos
from videorep.comparison_config import NONE
from videorep.config import DataConfig
from videorep.data.batches.several import require_no_leak
from videorep.data.batches.sources import open_source
from videorep.data.shards.manifest import load_dataset
from videorep.errors import RunError, ShardError
from videorep.evaluation.fusing import mixture_weights

FUSED = "fused"
TAKEN = (FUSED, "frozen", "finetuned")  # names of contenders end so
INPUT_FRAMES, FUTURE_FRAMES = 16, 13  # as the paper pretrains for actions


@dataclasses.dataclass
class Stream:
    """Labelled videos as one folder of shards shows them.

    Args:
        name: "" for the first stream, else that of its folder.
        videos: LabelledVideos.
        runs: Pretrained runs that are contenders.
    """

    name: str
    videos: object
    runs: list

    def call(self, contender):
        """A contender's name, with that of the stream."""
        return f"{contender}, {self.name}" if self.name else contender


def stream_names(config):
    """What the streams beside DATA are called."""
    return [Path(path).resolve().name for path in config.fuse]


def open_streams(config, initial):
    """The `Stream`s of a CompareConfig, DATA first; each has those runs of `initial` that were pretrained on it.

    Raises:
        RunError: they do not hold the same videos, or a run does not fit; and what `load_videos` raises.
    """
    folders = dict(zip(["", *stream_names(config)], [config.data, *config.fuse], strict=True))
    places = {Path(path).resolve() for path in (config.data, *config.fuse)}
    if len(places) <= len(config.fuse):
        raise RunError(
            f"expected other streams of the videos of {config.data} to fuse, received {', '.join(config.fuse)}, of "
            "which one is that folder, or two are one; name each once"
        )
    if len(folders) <= len(config.fuse) or not folders.keys().isdisjoint(TAKEN):
        raise RunError(
            f"expected folders of different names to fuse, none called {' or '.join(TAKEN)}, received "
            f"{', '.join(config.fuse)}; rename one"
        )
    streams = {name: Stream(name, load_videos(DataConfig(path)), []) for name, path in folders.items()}
    for other in streams.values():
        _require_same_videos(streams[""].videos, other.videos)
    places = {Path(path).resolve(): name for name, path in folders.items()}
    for run in initial:
        streams[places.get(Path(run.config.data.path).resolve(), "")].runs.append(run)
    for stream in streams.values():
        _require_alike(stream, config.models)
    return list(streams.values())


def require_unseen(config, initial):
    """Refuses to pretrain, or runs that were pretrained, on what DATA tests on; sentences where nobody can tell."""
    if config.models != (NONE,):
        for path, also in ((config.data, config.unlabelled), *((path, ()) for path in config.fuse)):
            open_source(DataConfig(path, also=also), "train", INPUT_FRAMES + FUTURE_FRAMES, hashed=False)
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


def fuse_all(measured, streams, counts):
    """{(contender, number of labels): what a mixture of the streams makes of it}, for contenders that all have."""
    if len(streams) == 1:
        return {}
    names = {name for name, _ in measured}
    labels = streams[0].videos.labels[streams[0].videos.training]
    return {
        (f"{name}, {FUSED}", count): fuse([measured[stream.call(name), count] for stream in streams], labels)
        for name in dict.fromkeys(name for name, _ in measured)
        for count in counts
        if all(stream.call(name) in names for stream in streams)
    }


def fuse(each, labels):
    """What a mixture of contenders makes of the test videos, its weights those that suit the folds best.

    Args:
        each: What `videorep.comparison.protocol.measure` gave of one contender per stream.
        labels: (V,) of the training videos.
    Returns:
        dict as of `measure`; "seconds" are those of all.
    """
    held_out = np.stack([one["held_out"] for one in each])
    weights = mixture_weights(held_out, labels[: held_out.shape[1]])  # without folds there are none: equal weights
    mixed = np.tensordot(weights, held_out, 1)
    return {
        "probabilities": np.tensordot(weights, np.stack([one["probabilities"] for one in each]), 1),
        "held_out": mixed,
        "settings": {"weights": [round(float(weight), 3) for weight in weights]},
        "choice_accuracy": float((mixed.argmax(-1) == labels).mean()) if len(mixed) else None,
        "seconds": {name: sum(one["seconds"][name] for one in each) for name in each[0]["seconds"]},
    }


def _require_same_videos(first, other):
    differ = [
        name
        for name in ("classes", "paths", "labels", "is_test")
        if not np.array_equal(getattr(first, name), getattr(other, name))
    ]
    hashes = [
        {source["path"]: source.get("sha256") for source in load_dataset(each.folder).sources}
        for each in (first, other)
    ]
    differ += [path for path in first.paths if len({each.get(path) for each in hashes} - {None}) > 1]
    if differ:
        raise RunError(
            f"expected {other.folder} to hold the videos of {first.folder}, received others (they differ in "
            f"{differ[0]}); build both from the same clips"
        )


def _require_alike(stream, models):
    """Raises a RunError where a run is not finished, does not fit the videos, or bears another contender's name."""
    taken, videos = {slug(name): f"the {name} that is pretrained here" for name in models}, stream.videos
    for run in stream.runs:
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
