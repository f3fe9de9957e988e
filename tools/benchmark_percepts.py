"""Percepts per second of `videorep build-shards percepts` beside the bare network's frames per second.

    python tools/benchmark_percepts.py SHARDS --backbone MODEL.keras --frames 1280 --repeats 3 --json FILE

Both alternate in one process with the same batch size. The bare network gets the same frames over and over from memory;
the build reads, decodes and crops them from a copy of the first clips, and stores the percepts. Loading the network is
not counted, the build's reading, hashing and flushing is.
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from videorep.build_config import PerceptsConfig
from videorep.data.percepts.backbones import load_backbone
from videorep.data.percepts.build import build_percepts
from videorep.data.percepts.frames import read_batches
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.parse import parse_clip
from videorep.data.shards.records import Clip
from videorep.data.shards.write import write_shards


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


def time_network(net, batch, batches):
    """Calls the network on one batch that lies in memory."""
    watch = Stopwatch()
    for _ in range(batches):
        net.extract(batch).numpy()
    return watch.stop(batches * len(batch))


def time_build(clips, out, frames, **options):
    """Builds percepts, timed from the first frame read to dataset.json written."""
    watch = Stopwatch()
    build_percepts(clips, out, PerceptsConfig(**options), progress=watch, overwrite=True)
    return watch.stop(frames)


def main():
    """Prints a table and, if asked, writes JSON."""
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
    options = {"backbone": args.backbone, "layer": args.layer, "weights": args.weights, "batch_size": args.batch_size}
    net = load_backbone(args.backbone, args.layer, args.weights)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = copy_clips(args.shards, args.frames, Path(folder) / "clips")
        totals = [sum(shard.index["frames"]) for shard in dataset.shards("train")]
        batch = next(iter(read_batches(dataset.paths("train"), totals, args.batch_size, net.size)))
        time_network(net, batch, 2)
        print(f"{sum(totals)} frames, batches of {args.batch_size}; frames/s and CPU ms/frame")
        print(f"{'run':>3} {'network':>16} {'percepts':>16} {'share':>6}")
        for number in range(1, args.repeats + 1):
            network = time_network(net, batch, -(-sum(totals) // args.batch_size))
            build = time_build(dataset.folder, Path(folder) / "percepts", sum(totals), **options)
            rows.append({"network": network, "percepts": build})
            share = build["frames_per_second"] / network["frames_per_second"]
            cells = [f"{each['frames_per_second']:8.1f} {each['cpu_ms_per_frame']:7.1f}" for each in (network, build)]
            print(f"{number:>3} {cells[0]} {cells[1]} {share:6.2f}", flush=True)
    shares = [row["percepts"]["frames_per_second"] / row["network"]["frames_per_second"] for row in rows]
    share = statistics.median(shares)
    print(f"median share {share:.2f}")
    if args.json:
        result = {"frames": sum(totals), "batch_size": args.batch_size, "network": net.description, "runs": rows}
        args.json.write_text(json.dumps(result | {"median_share": share}, indent=2) + "\n")


if __name__ == "__main__":
    main()
