"""Flow fields per second of the pipeline behind `--stream flow`, beside OpenCV alone on the same frames.

    python tools/benchmark_flow.py SHARDS --frames 500 --repeats 3 --json FILE

Both alternate in one process and estimate the same fields: OpenCV's dense inverse search and variational refinement
with the weights of `videorep.data.percepts.flow`. OpenCV alone gets grey frames that lie in memory, one pair after the
other, on as many threads as it takes; the pipeline reads, decodes, crops, removes each field's mean and stacks besides.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
from benchmark_percepts import Stopwatch, copy_clips

from videorep.data.percepts.flow import estimate_flow
from videorep.data.percepts.frames import PAPER_CROP, read_batches
from videorep.data.shards.read import read_shards

BATCH = 32


def time_opencv(clips):
    """Estimates the flow of all neighbouring frames of clips, [(T, H, W) uint8, ...]."""
    watch = Stopwatch()
    fields = sum(1 for clip in clips for pair in itertools.pairwise(clip) if estimate_flow(*pair) is not None)
    return watch.stop(fields)


def time_pipeline(dataset, flow_stack, fields):
    """Runs through all stacks of the clips; the rate is that of fields, which neighbouring stacks share."""
    totals = [sum(shard.index["frames"]) for shard in dataset.shards("train")]
    watch = Stopwatch()
    for _ in read_batches(dataset.paths("train"), totals, BATCH, PAPER_CROP, flow_stack):
        pass
    return watch.stop(fields)


def main():
    """Prints a table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--flow-stack", type=int, default=1)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        dataset = copy_clips(args.shards, args.frames, Path(folder) / "clips")
        records = read_shards(dataset.folder).as_numpy_iterator()
        clips = [[cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in record["frames"]] for record in records]
        fields = sum(len(clip) - 1 for clip in clips)
        print(f"{fields} fields of {clips[0][0].shape}, stacks of {args.flow_stack}; fields/s and CPU ms/field")
        print(f"{'run':>3} {'OpenCV':>16} {'pipeline':>16} {'share':>6}")
        for number in range(1, args.repeats + 1):
            row = {"opencv": time_opencv(clips), "pipeline": time_pipeline(dataset, args.flow_stack, fields)}
            rows.append(row)
            share = row["pipeline"]["frames_per_second"] / row["opencv"]["frames_per_second"]
            cells = [f"{each['frames_per_second']:8.1f} {each['cpu_ms_per_frame']:7.1f}" for each in row.values()]
            print(f"{number:>3} {cells[0]} {cells[1]} {share:6.2f}", flush=True)
    rates = [{name: each["frames_per_second"] for name, each in row.items()} for row in rows]
    share = statistics.median(rate["pipeline"] / rate["opencv"] for rate in rates)
    print(f"median share {share:.2f}")
    if args.json:
        args.json.write_text(json.dumps({"fields": fields, "runs": rows, "median_share": share}, indent=2) + "\n")


if __name__ == "__main__":
    main()
