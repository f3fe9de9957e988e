"""Frames per second of `videorep build-shards clips` beside a bare loop that decodes and encodes the same videos.

    python tools/benchmark_shards.py VIDEOS --repeats 3 --size 120x160 --json FILE

The bare loop runs on all cores, one process each: OpenCV decodes, resizes if asked, encodes every frame as JPEG of the
same quality and throws it away. It and the build alternate in one run. Counted are all of both: starting the processes
and, in the build, hashing, writing and flushing to disk; not TensorFlow's import. Processor seconds stand beside the
rates because they depend less on what else the machine does. Last column: the shards read back and decoded.
"""

import argparse
import json
import multiprocessing
import os
import resource
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


def processor_seconds():
    """Of this process and of those of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(function):
    """(frames, seconds, processor seconds) of a function that returns how many frames it did."""
    began, used = time.perf_counter(), processor_seconds()
    frames = function()
    return frames, time.perf_counter() - began, processor_seconds() - used


def run_bare(paths, size, workers):
    """The bare loop over all videos; returns how many frames."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(decode_and_encode, paths, [size] * len(paths)))


def run_build(videos, out, size, workers):
    """The whole build; returns how many frames."""
    from videorep.build_config import ClipsConfig
    from videorep.data.videos.build import build_clips

    dataset = build_clips(videos, out, ClipsConfig(size=size, quality=QUALITY, workers=workers), overwrite=True)
    return sum(source["frames"] for source in dataset.sources if source["records"])


def run_reading(out):
    """Reads the clips back, decoded; returns how many frames."""
    from videorep.data.shards.read import read_shards

    return sum(len(clip["frames"]) for clip in read_shards(out))


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
    with tempfile.TemporaryDirectory(dir=args.out) as folder:
        out = Path(folder) / "shards"
        run_build(args.videos, out, args.size, args.workers)
        print("frames per second, and processor seconds")
        print(f"{'run':>3} {'bare':>8} {'s':>6} {'build':>8} {'s':>6} {'share':>6} {'of s':>6} {'read':>8}")
        for number in range(1, args.repeats + 1):
            frames, bare, bare_used = measure(lambda: run_bare(paths, args.size, args.workers))
            built, build, build_used = measure(lambda: run_build(args.videos, out, args.size, args.workers))
            read, reading, _ = measure(lambda: run_reading(out))
            row = {"bare": frames / bare, "build": built / build, "read": read / reading}
            row |= {"share": row["build"] / row["bare"], "bare_used": bare_used, "build_used": build_used}
            row["share_of_used"] = bare_used / build_used
            rows.append(row)
            cells = f"{row['bare']:8.0f} {bare_used:6.1f} {row['build']:8.0f} {build_used:6.1f} {row['share']:6.2f}"
            print(f"{number:>3} {cells} {row['share_of_used']:6.2f} {row['read']:8.0f}", flush=True)
    share = statistics.median(row["share"] for row in rows)
    print(f"median share {share:.2f}")
    if args.json:
        settings = {"videos": len(paths), "size": args.size, "quality": QUALITY, "workers": args.workers}
        args.json.write_text(json.dumps(settings | {"runs": rows, "median_share": share}, indent=2) + "\n")


if __name__ == "__main__":
    main()
