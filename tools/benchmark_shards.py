"""Frames per second of `videorep build-shards clips` beside a bare loop that decodes and encodes the same videos.

    python tools/benchmark_shards.py VIDEOS --repeats 3 --size 120x160 --json FILE

The bare loop runs on all cores, one process each: OpenCV decodes, resizes if asked, encodes every frame as JPEG of the
same quality and throws it away. It and the build alternate in one run. Starting the bare loop's processes and importing
TensorFlow are not counted; starting the decode workers, hashing, writing and flushing to disk are. Last column: the
shards read back and decoded.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2

QUALITY = 95


def decode_and_encode(path, size):
    """Decodes one video with OpenCV, encodes every frame; returns how many frames."""
    cv2.setNumThreads(1)
    capture, frames = cv2.VideoCapture(str(path)), 0
    while True:
        read, image = capture.read()
        if not read:
            return frames
        if size is not None:
            image = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        frames += 1


def time_bare(pool, paths, size):
    """Frames per second of the bare loop."""
    began = time.perf_counter()
    frames = sum(pool.map(decode_and_encode, paths, [size] * len(paths)))
    return frames / (time.perf_counter() - began)


def time_build(videos, out, size, workers):
    """Frames per second of the whole build, and the `Dataset`."""
    from videorep.data.clips import build_clips

    began = time.perf_counter()
    dataset = build_clips(videos, out, size=size, quality=QUALITY, workers=workers, overwrite=True)
    seconds = time.perf_counter() - began
    return sum(source["frames"] for source in dataset.sources if source["records"]) / seconds, dataset


def time_reading(dataset):
    """Frames per second of reading the first split back, decoded."""
    from videorep.data.shards import read_shards

    began = time.perf_counter()
    frames = sum(len(clip["frames"]) for clip in read_shards(dataset.folder, next(iter(dataset.splits))))
    return frames / (time.perf_counter() - began)


def main():
    """Prints a table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), help="HEIGHTxWIDTH")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, help="folder for the shards, on the disk to be measured")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    paths = sorted(path for path in args.videos.rglob("*") if path.suffix.lower() in (".avi", ".mp4", ".mkv", ".webm"))
    rows = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.workers, context) as pool, tempfile.TemporaryDirectory(dir=args.out) as folder:
        time_bare(pool, paths[: 4 * args.workers], args.size)
        _, dataset = time_build(args.videos, Path(folder) / "shards", args.size, args.workers)
        print(f"{'run':>3} {'bare':>8} {'build':>8} {'share':>6} {'read':>8}   (frames/s, {len(paths)} videos)")
        for number in range(1, args.repeats + 1):
            bare = time_bare(pool, paths, args.size)
            build, dataset = time_build(args.videos, Path(folder) / "shards", args.size, args.workers)
            rows.append({"bare": bare, "build": build, "share": build / bare, "read": time_reading(dataset)})
            print(f"{number:>3} {bare:8.0f} {build:8.0f} {build / bare:6.2f} {rows[-1]['read']:8.0f}", flush=True)
    share = statistics.median(row["share"] for row in rows)
    print(f"median share {share:.2f}")
    if args.json:
        settings = {"videos": len(paths), "size": args.size, "quality": QUALITY, "workers": args.workers}
        args.json.write_text(json.dumps(settings | {"runs": rows, "median_share": share}, indent=2) + "\n")


if __name__ == "__main__":
    main()
