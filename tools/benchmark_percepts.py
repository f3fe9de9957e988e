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

from videorep.data.backbones import load_backbone
from videorep.data.frames import read_batches
from videorep.data.percepts import build_percepts
from videorep.data.records import Clip
from videorep.data.schema import parse_clip
from videorep.data.shards import load_dataset, write_shards


class Stopwatch:
    """A progress reporter that notes when the building begins."""

    @contextlib.contextmanager
    def task(self, *_, **__):
        self.began = time.perf_counter()
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
    """Frames per second of `batches` calls on one batch that lies in memory."""
    began = time.perf_counter()
    for _ in range(batches):
        net.extract(batch).numpy()
    return batches * len(batch) / (time.perf_counter() - began)


def time_build(clips, out, frames, **options):
    """Frames per second from the first frame read to dataset.json written."""
    watch = Stopwatch()
    build_percepts(clips, out, progress=watch, overwrite=True, **options)
    return frames / (time.perf_counter() - watch.began)


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
        print(f"{'run':>3} {'network':>9} {'percepts':>9} {'share':>6}   (frames/s, {sum(totals)} frames)")
        for number in range(1, args.repeats + 1):
            network = time_network(net, batch, -(-sum(totals) // args.batch_size))
            build = time_build(dataset.folder, Path(folder) / "percepts", sum(totals), **options)
            rows.append({"network": network, "percepts": build, "share": build / network})
            print(f"{number:>3} {network:9.1f} {build:9.1f} {build / network:6.2f}", flush=True)
    share = statistics.median(row["share"] for row in rows)
    print(f"median share {share:.2f}")
    if args.json:
        result = {"frames": sum(totals), "batch_size": args.batch_size, "network": net.description, "runs": rows}
        args.json.write_text(json.dumps(result | {"median_share": share}, indent=2) + "\n")


if __name__ == "__main__":
    main()
