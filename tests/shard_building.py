"""Small builds for the tests of shards: slow enough to be killed, the same bytes whenever and however they are run."""

import collections
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from videorep.data.shards.build import build_dataset
from videorep.data.shards.plan import Outcome, Recipe, Source, plan_shards
from videorep.data.shards.records import Clip, Percept

LABELS = ["jump", "run", "wave"]
LEFT_OUT = 5  # the source that yields nothing
WORK = ("resume", "overwrite", "dry_run", "progress", "part", "beam")


def with_options(build, config):
    """`build` with the fields of its configuration as keyword options, which keeps the tests short."""

    def call(*paths, **options):
        work = {name: options.pop(name) for name in WORK if name in options}
        return build(*paths, config(**options), **work)

    return call


def make_recipe(kind="clips", per_shard=2):
    """What `build` makes."""
    made = {"command": "test", "seed": 0, "settings": {"kind": kind}}
    return Recipe("toy", kind, plan_shards(make_sources(), per_shard), LABELS, made)


def make_sources(count=24, split_every=4):
    """`count` sources, every fourth of them in "test"."""
    return [
        Source(f"video {number:02d}.avi", "test" if number % split_every == 3 else "train", number % len(LABELS))
        for number in range(count)
    ]


def make_outcome(source, kind="clips", compression="", pause=0.0):
    """What becomes of one source: bytes that its name decides."""
    time.sleep(pause)
    number = int(source.path[6:8])
    if number == LEFT_OUT:
        return Outcome(source, [], "no frames")
    rng = np.random.default_rng(number)
    label = {"label_index": source.label_index, "label_text": LABELS[source.label_index]}
    if kind == "percepts":
        array = np.maximum(rng.normal(size=(3 + number, 6)), 0).astype(np.float16)
        return Outcome(source, [Percept(array, source.path, **label, frame_rate=25.0, compression=compression)])
    images = [b"\xff\xd8" + rng.bytes(rng.integers(200, 400)) for _ in range(3 + number)]
    times = [40_000 * frame for frame in range(len(images))]
    facts = {"sha256": hashlib.sha256(source.path.encode()).hexdigest()}
    return Outcome(source, [Clip(images, times, 24, 32, 25.0, source.path, **label)], facts=facts)


def build(out, kind="clips", workers=1, pause=0.0, per_shard=2, compression="", **options):
    """Builds the small dataset; `options` go to `build_dataset`."""

    def process(pending):
        sources = [source for task in pending for source in task.sources]
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(lambda source: make_outcome(source, kind, compression, pause), sources)

    return build_dataset(out, make_recipe(kind, per_shard), process, **options)


def count_outcomes(dataset):
    """How many sources were written, written in part, and left out by kind of reason."""
    written = [source for source in dataset.sources if source["records"]]
    left_out = collections.Counter(s["reason"].split(":")[0] for s in dataset.sources if not s["records"])
    return {
        "written": len(written),
        "partial": sum(bool(source["reason"]) for source in written),
        "left_out": dict(left_out),
    }


class BuildError(Exception):
    """What ends a build in the middle."""


def build_until(out, stop_after, error=BuildError, **options):
    """Builds until `stop_after` sources are done, then raises."""

    def process(pending):
        sources = [source for task in pending for source in task.sources]
        for number, source in enumerate(sources):
            if number == stop_after:
                raise error("stopped")
            yield make_outcome(source)

    return build_dataset(out, make_recipe(), process, **options)


def folder_bytes(folder):
    """{name: bytes} of every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
