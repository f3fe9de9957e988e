"""Moving MNIST as shards: a fixed set of the sequences that `MovingMNIST` draws without end."""

import concurrent.futures
import functools

import cv2

from videorep.data.digits.moving_mnist import MovingMNIST
from videorep.data.shards.build import build_dataset
from videorep.data.shards.build_folder import require_free
from videorep.data.shards.plan import Outcome, Recipe, Source, plan_shards
from videorep.data.shards.records import Clip

BLOCK_SEQUENCES = 100  # one entry of dataset.json
BLOCKS_PER_SHARD = 10
DRAWN_FRAMES = 4000  # at once: 16 MiB
SAMPLE_SEQUENCES = 4  # whose bytes a dry run looks at
FRAME_RATE = 10.0
PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)  # small and fast


def build_moving_mnist(out, config, *, resume=False, overwrite=False, dry_run=False, progress=None):
    """Writes sequences 0 to count - 1 of every split as grey PNG clips, exactly as `MovingMNIST` draws them.

    Arguments and results as of `build_clips`, with a `MovingMNISTConfig`; `out` is the folder to make.

    Raises:
        ConfigError, DataError: the settings or the digits do not fit.
        OutputError, ShardError: the folder cannot be used.
    """
    require_free(out, resume, overwrite, dry_run)
    count, drawn = config.count, (config.digits, config.num_digits, config.frames)
    generators = {split: MovingMNIST(*drawn, seed=config.seed, split=split) for split in config.splits}
    sources = [
        Source(f"moving-mnist/{split}/{first}-{min(first + BLOCK_SEQUENCES, count) - 1}", split)
        for split in config.splits
        for first in range(0, count, BLOCK_SEQUENCES)
    ]
    plan = plan_shards(sources, per_shard=BLOCKS_PER_SHARD)
    if dry_run:
        return _describe(plan, count, generators)
    settings = {"count": count, "splits": {split: each.provenance for split, each in generators.items()}}
    made = {"command": "build-shards moving-mnist", "seed": config.seed, "unit": "sequences", "settings": settings}
    unit = f"blocks of {min(count, BLOCK_SEQUENCES)} sequences"
    recipe = Recipe("moving-mnist", "clips", plan, made=made, unit=unit)
    process = functools.partial(_process, generators)
    return build_dataset(out, recipe, process, resume=resume, overwrite=overwrite, progress=progress)


def _describe(plan, count, generators):
    """What a dry run tells; the bytes are those of the first sequences of each split, times as many as there are."""
    drawn = [_encode("", frames) for each in generators.values() for frames in each.sequences(0, SAMPLE_SEQUENCES)]
    sequence_bytes = sum(len(image) for clip in drawn for image in clip.images) / len(drawn)
    return {
        "sequences": dict.fromkeys(plan, count),
        "shards": {split: len(shards) for split, shards in plan.items()},
        "bytes_about": int(float(f"{sequence_bytes * count * len(plan):.1e}")),
    }


def _process(generators, pending):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for source in (source for task in pending for source in task.sources):
            first, last = (int(number) for number in source.path.rsplit("/", 1)[1].split("-"))
            generator, clips = generators[source.split], []
            step = max(1, DRAWN_FRAMES // generator.frames)
            for start in range(first, last + 1, step):
                numbers = range(start, min(start + step, last + 1))
                paths = [f"moving-mnist/{source.split}/{number}" for number in numbers]
                clips += pool.map(_encode, paths, generator.sequences(start, len(numbers)))
            yield Outcome(source, clips)


def _encode(path, frames):
    images = [cv2.imencode(".png", frame, PNG_OPTIONS)[1].tobytes() for frame in frames]
    timestamps = [round(index * 1e6 / FRAME_RATE) for index in range(len(images))]
    height, width = frames.shape[1:]
    return Clip(images, timestamps, height, width, FRAME_RATE, path, format="png", channels=1)
