"""Time and memory of the first steps with a dataset of millions of records, which is made up for it.

    python tools/measure_large_datasets.py FOLDER --records 1000000 --per-shard 1000

FOLDER gets dataset.json and its tables, and sparse shards, which have no content but the right size: what is measured
is what is done before shards are read. Every line is a process of its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

FEATURES, FRAMES, CLASSES = 8, 16, 101
PAYLOAD, SIZE = 100, 400  # bytes before the array, bytes of a record
PIECES = 4  # records of one video


def make_up(folder, records, per_shard):
    """Writes dataset.json of so many percepts."""
    from videorep.data.shards.dataset import Dataset, ShardInfo
    from videorep.data.shards.manifest import save_dataset
    from videorep.data.shards.manifest_schema import shard_name

    folder.mkdir(parents=True, exist_ok=True)
    shards, offsets = [], np.arange(per_shard) * SIZE
    for number in range(records // per_shard):
        labels = (np.arange(number * per_shard, (number + 1) * per_shard) // PIECES % CLASSES).astype(np.int32)
        index = {"offset": offsets, "payload": offsets + PAYLOAD, "label": labels}
        index |= {"frames": FRAMES, "frame_rate": 30.0, "crc": number}
        file = shard_name("data", "train", number, records // per_shard)
        with open(folder / file, "wb") as shard:
            shard.truncate(per_shard * SIZE)
        shards.append(ShardInfo(file, per_shard, per_shard * SIZE, f"{number:064x}", index))

    def describe(number):
        video = number // PIECES
        return {
            "path": f"class-{video % CLASSES:03d}/a-video-of-usual-name-{video:09d}.mp4",
            "split": "train",
            "label_index": video % CLASSES,
            "sha256": f"{video:064x}",
            "start": 10.0 * (number % PIECES),
            "end": 10.0 * (number % PIECES) + 10,
            "status": "written",
            "reason": "",
            "records": 1,
            "shard": shards[number // per_shard].file,
            "frames": FRAMES,
        }

    save_dataset(
        Dataset(
            folder=folder,
            kind="percepts",
            name="data",
            labels=tuple(f"class {number}" for number in range(CLASSES)),
            splits={"train": tuple(shards)},
            sources=_Described(describe, records),
            height=None,
            width=None,
            channels=None,
            features=FEATURES,
            dtype="float16",
            compression="",
            frame_rate=30.0,
            made={"command": "made up"},
            fingerprint="0" * 64,
        )
    )


class _Described:
    """Sources that are made up one after another."""

    def __init__(self, describe, count):
        self._describe, self._count = describe, count

    def __len__(self):
        return self._count

    def __iter__(self):
        return map(self._describe, range(self._count))


def open_dataset(folder):
    from videorep.data.shards.manifest import load_dataset

    return load_dataset(folder)


def choose_few(folder):
    """The blocks of ten videos of each class."""
    from videorep.config import DataConfig
    from videorep.data.batches.sources import LabelledBlocks

    blocks = LabelledBlocks(DataConfig(path=str(folder)), "train", FRAMES, 8, videos_per_class=10, hashed=False)
    return blocks, blocks.video_paths


def make_batch(folder):
    """The first batch of pretraining."""
    from videorep.config import DataConfig
    from videorep.data.batches.sources import open_source

    source = open_source(DataConfig(path=str(folder)), "train", FRAMES, hashed=False)
    return source, next(iter(source.training(32, seed=0)))


def one_source(folder):
    dataset = open_dataset(folder)
    return dataset.sources[len(dataset.sources) // 2]


def find_flawed(folder):
    return list(open_dataset(folder).flawed())


def all_sources(folder):
    return sum(1 for _ in open_dataset(folder).sources)


STEPS = {each.__name__: each for each in (open_dataset, one_source, choose_few, make_batch, find_flawed, all_sources)}


def take(step, folder):
    """Prints seconds and MiB of one step, beside those that imports take."""
    import tensorflow as tf

    import videorep.data.batches.sources  # noqa: F401

    next(iter(tf.data.Dataset.range(1)))  # what TensorFlow does once is not ours
    before, began, worked = _resident(), time.perf_counter(), time.process_time()
    kept = STEPS[step](folder)
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cells = f"{seconds:8.2f} s {processor:8.2f} s of a processor {peak:8.0f} MiB at most"
    print(f"{step:14} {cells}, {before:.0f} before, {_resident():.0f} after", flush=True)
    del kept


def _resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--per-shard", type=int, default=1_000)
    parser.add_argument("--steps", nargs="*", default=list(STEPS))
    parser.add_argument("--take", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.take:
        take(args.take, args.folder)
        return
    if not (args.folder / "dataset.json").exists():
        make_up(args.folder, args.records, args.per_shard)
    print(f"{args.records:,} records in shards of {args.per_shard:,}; dataset.json and tables of", end=" ")
    print(json.dumps({path.name: path.stat().st_size for path in sorted(args.folder.glob("dataset*"))}))
    for step in args.steps:
        quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, __file__, str(args.folder), "--take", step], check=True, env=quiet)


if __name__ == "__main__":
    main()
