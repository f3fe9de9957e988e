"""Frames per second of `videorep build-shards percepts` and of the bare convnet, by every engine that is installed.

    python tools/benchmark_percepts.py SHARDS --backbone MODEL.keras --frames 1280 --repeats 3 --json FILE

All alternate in one process with the same batch size: Keras' convnet under tf.function, as every engine computes it of
frames that lie in memory, and the whole command by every engine, which reads, decodes and crops them from a copy of the
first clips, and stores the percepts. Loading the convnet is not counted, reading, hashing and flushing is. The cosine
is the smallest of a frame's percept with Keras'.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from videorep.build_config import ENGINE_PRECISIONS, ENGINES, PerceptsConfig
from videorep.data.percepts.backbones import load_backbone
from videorep.data.percepts.build import build_percepts
from videorep.data.percepts.engines import open_engine
from videorep.data.percepts.frames import read_batches
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.parse import parse_clip
from videorep.data.shards.records import Clip
from videorep.data.shards.write import write_shards
from videorep.data.threads import map_ahead
from videorep.errors import VideorepError

KERAS = "Keras under tf.function"


class Stopwatch:
    """Seconds and CPU seconds; as a progress reporter, from the moment the building begins."""

    def __init__(self):
        self.start()

    def start(self):
        self._began = time.perf_counter(), time.process_time()

    def stop(self, frames):
        """Frames per second, and milliseconds of CPU time per frame, since the start."""
        seconds, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        return {"frames_per_second": frames / seconds, "cpu_ms_per_frame": 1000 * cpu / frames}

    @contextlib.contextmanager
    def task(self, *_, **__):
        self.start()
        yield lambda *_, **__: None


def copy_clips(shards, frames, out):
    """Writes the first clips of the first split that have `frames` frames together; returns their `Dataset`."""
    clips, count = [], 0
    dataset = load_dataset(shards)
    for record in tf.data.TFRecordDataset([str(path) for path in dataset.paths(next(iter(dataset.splits)))]):
        clip = {key: value.numpy() for key, value in parse_clip(record).items()}
        size = {"height": int(clip["height"]), "width": int(clip["width"]), "channels": int(clip["channels"])}
        stamps = clip["timestamps"].tolist()
        clips.append(Clip(clip["images"].tolist(), stamps, **size, frame_rate=25.0, path=clip["path"].decode()))
        count += len(stamps)
        if count >= frames:
            break
    return write_shards(clips, out)


def open_engines(net, batch_size):
    """{name: Engine} of all engines and precisions that can be had here."""
    engines = {}
    for name, precision in itertools.product(ENGINES[1:], ENGINE_PRECISIONS):
        try:
            PerceptsConfig("", engine=name, precision=precision)
            engines[f"{name} {precision}"] = open_engine(net, batch_size, name, precision)
        except VideorepError as error:
            print(f"without {name} {precision}: {error}")
    return engines


def time_network(run, batches, count, at_once):
    """Runs over batches that lie in memory, again and again, `count` in all."""
    watch = Stopwatch()
    for _ in map_ahead(run, itertools.islice(itertools.cycle(batches), count), at_once):
        pass
    return watch.stop(count * len(batches[0]))


def time_build(clips, out, frames, **options):
    """Builds percepts, timed from the first frame read to dataset.json written."""
    watch = Stopwatch()
    build_percepts(clips, out, PerceptsConfig(**options), progress=watch, overwrite=True)
    return watch.stop(frames)


def smallest_cosine(received, expected):
    """Of rows (B, D) and rows."""
    norms = np.linalg.norm(received, axis=-1) * np.linalg.norm(expected, axis=-1)
    return float(np.min(np.sum(received * expected, -1, np.float64) / norms))


def measure(args, folder):
    """{what: {"cosine", "runs": [{"frames_per_second", "cpu_ms_per_frame"}, ...]}}, and the number of frames."""
    options = {"backbone": args.backbone, "layer": args.layer, "weights": args.weights}
    net = load_backbone(*options.values())
    dataset = copy_clips(args.shards, args.frames, folder / "clips")
    totals = [sum(shard.index["frames"]) for shard in dataset.shards("train")]
    batches = list(itertools.islice(read_batches(dataset.paths("train"), totals, args.batch_size, net.size), 4))
    engines, count = open_engines(net, args.batch_size), -(-sum(totals) // args.batch_size)
    whole = [net.extract(batch).numpy() for batch in batches]
    rows = {KERAS: {"cosine": 1.0, "runs": []}}
    for name, engine in engines.items():
        cosine = min(smallest_cosine(engine.run(batch), seen) for batch, seen in zip(batches, whole, strict=True))
        rows |= {f"{name}{what}": {"cosine": cosine, "runs": []} for what in ("", ", whole command")}
    for number in range(1, args.repeats + 1):
        rows[KERAS]["runs"].append(time_network(lambda batch: net.extract(batch).numpy(), batches, count, 1))
        for name, engine in engines.items():
            rows[name]["runs"].append(time_network(engine.run, batches, count, engine.at_once))
            chosen = options | {"batch_size": args.batch_size, "engine": engine.name, "precision": engine.precision}
            built = time_build(dataset.folder, folder / "percepts", sum(totals), **chosen)
            rows[f"{name}, whole command"]["runs"].append(built)
        print(f"repetition {number} of {args.repeats} done", flush=True)
    return rows, sum(totals)


def main():
    """Prints a table of medians and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--layer")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--frames", type=int, default=1280)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, frames = measure(args, Path(folder))
    print(f"{frames} frames, batches of {args.batch_size}; medians of {args.repeats} repetitions")
    print(f"{'':<34} {'frames/s':>8} {'':>15} {'CPU ms':>7} {'of Keras':>8} {'of bare':>7} {'cosine':>8}")
    rates = {name: [run["frames_per_second"] for run in row["runs"]] for name, row in rows.items()}
    for name, row in rows.items():
        cpu = statistics.median(run["cpu_ms_per_frame"] for run in row["runs"])
        shares = [median_ratio(rates[name], rates[other]) for other in (KERAS, name.removesuffix(", whole command"))]
        span = f"{min(rates[name]):.0f} to {max(rates[name]):.0f}"
        cells = f"{statistics.median(rates[name]):8.1f} {span:>15} {cpu:7.2f} {shares[0]:8.2f} {shares[1]:7.2f}"
        print(f"{name:<34} {cells} {row['cosine']:8.5f}")
    if args.json:
        result = {"frames": frames, "batch_size": args.batch_size, "rows": rows}
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def median_ratio(rates, others):
    """Of what ran in the same repetition."""
    return statistics.median(one / other for one, other in zip(rates, others, strict=True))


if __name__ == "__main__":
    main()
