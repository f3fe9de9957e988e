"""Moving MNIST as shards: a fixed set of the sequences that `MovingMNIST` draws without end."""

import concurrent.futures
import functools

import cv2

from videorep.config import require
from videorep.data.building import build_dataset
from videorep.data.moving_mnist import SPLITS, MovingMNIST
from videorep.data.records import Clip, Outcome, Source, plan_shards

BLOCK_SEQUENCES = 100  # one entry of dataset.json
BLOCKS_PER_SHARD = 10
FRAME_RATE = 10.0
PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)  # small and fast


def build_moving_mnist(
    out,
    *,
    count,
    digits="rendered",
    num_digits=2,
    frames=20,
    seed=0,
    splits=SPLITS,
    resume=False,
    overwrite=False,
    progress=None,
):
    """Writes sequences 0 to count - 1 of every split as grey PNG clips, exactly as `MovingMNIST` draws them.

    Args:
        out: Folder to make.
        count: Sequences per split.
        digits, num_digits, frames, seed: As for `MovingMNIST`.
        splits: Names of the splits to write.
        resume, overwrite, progress: As for `videorep.data.shards.build_dataset`.
    Returns:
        `Dataset`.
    Raises:
        ConfigError, DataError: the settings or the digits do not fit.
        OutputError, ShardError: the folder cannot be used.
    """
    require(count >= 1, "count", "at least 1", count)
    generators = {split: MovingMNIST(digits, num_digits, frames, seed=seed, split=split) for split in splits}
    sources = [
        Source(f"moving-mnist/{split}/{first}-{min(first + BLOCK_SEQUENCES, count) - 1}", split)
        for split in splits
        for first in range(0, count, BLOCK_SEQUENCES)
    ]
    settings = {"count": count, "splits": {split: each.provenance for split, each in generators.items()}}
    return build_dataset(
        out,
        "moving-mnist",
        "clips",
        plan_shards(sources, per_shard=BLOCKS_PER_SHARD),
        functools.partial(_process, generators),
        {"made": {"command": "build-shards moving-mnist", "seed": seed, "settings": settings}},
        resume=resume,
        overwrite=overwrite,
        progress=progress,
        unit=f"blocks of {min(count, BLOCK_SEQUENCES)} sequences",
    )


def _process(generators, pending):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for source in (source for task in pending for source in task.sources):
            first, last = (int(number) for number in source.path.rsplit("/", 1)[1].split("-"))
            sequences = generators[source.split].sequences(first, last - first + 1)
            paths = [f"moving-mnist/{source.split}/{number}" for number in range(first, last + 1)]
            yield Outcome(source, list(pool.map(_encode, paths, sequences)))


def _encode(path, frames):
    images = [cv2.imencode(".png", frame, PNG_OPTIONS)[1].tobytes() for frame in frames]
    timestamps = [round(index * 1e6 / FRAME_RATE) for index in range(len(images))]
    height, width = frames.shape[1:]
    return Clip(images, timestamps, height, width, FRAME_RATE, path, format="png", channels=1)
