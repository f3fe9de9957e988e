"""Training speed of videorep beside PyTorch and beside the matrix products alone, in one run, taking turns.

    python tools/benchmark_training.py --units 2048 --batch-size 32 --precision float32 --json result.json
    python tools/benchmark_training.py --mode inference --batch-size 1            latency of one clip
    python tools/benchmark_training.py --mode inference --future-frames 100       a long rollout

Needs PyTorch (pip install '.[benchmark]'). Use a machine that does nothing else.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from training_contenders import CONTENDERS, Task

MIN_SECONDS = 2.0
CHOICES = {"mode": ("training", "inference"), "precision": ("float32", "bfloat16")}


class Contender:
    """A contender in a process of its own that waits while the others run."""

    def __init__(self, name, task):
        self.name = name
        script = Path(__file__).with_name("training_contenders.py")
        command = [sys.executable, str(script), name, json.dumps(dataclasses.asdict(task))]
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"} | os.environ
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        answer = self._answer()
        self.compile_seconds, self.import_bytes = answer["ready"], answer["import_bytes"]
        self.seconds, self.peak_bytes = [], 0

    def run(self, steps):
        """Seconds per step over `steps` steps."""
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.peak_bytes = answer["peak_bytes"]
        return answer["seconds"] / steps

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"Error: expected {self.name!r} to run, received exit status {self._process.wait()}")
        return json.loads(line)

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def main():
    arguments = parse_arguments()
    task = Task(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Task)})
    contenders = []
    for name in arguments.contenders or CONTENDERS:
        contenders.append(Contender(name, task))
        print(f"ready: {name}, {contenders[-1].compile_seconds:.1f} s to build, compile and run one step", flush=True)
    steps = {each: max(1, round(MIN_SECONDS / each.run(2))) for each in contenders}
    for _ in range(arguments.repetitions):
        for each in contenders:
            each.seconds.append(each.run(steps[each]))
    for each in contenders:
        each.close()
    rows = [describe(each, contenders, task) for each in contenders]
    print_rows(rows)
    if arguments.json:
        result = {"task": dataclasses.asdict(task), "repetitions": arguments.repetitions, "rows": rows}
        Path(arguments.json).write_text(json.dumps(result, indent=2) + "\n")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in dataclasses.fields(Task):
        option, choices = f"--{field.name.replace('_', '-')}", CHOICES.get(field.name)
        parser.add_argument(option, type=type(field.default), default=field.default, choices=choices)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS))
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def describe(contender, contenders, task):
    """One row: medians over the repetitions."""
    median = statistics.median(contender.seconds)
    limit = next((statistics.median(each.seconds) for each in contenders if each.name == "matrix products alone"), None)
    peers = [statistics.median(each.seconds) for each in contenders if "orch" in each.name]
    return {
        "contender": contender.name,
        "milliseconds_per_step": median * 1e3,
        "sequences_per_second": task.batch_size / median,
        "gflops": task.operations() / median / 1e9,
        "ratio_to_best_peer": min(peers) / median if peers else None,
        "share_of_limit": limit / median if limit else None,
        "spread": (max(contender.seconds) - min(contender.seconds)) / median,
        "peak_gib": contender.peak_bytes / 2**30,
        "import_gib": contender.import_bytes / 2**30,
        "compile_seconds": contender.compile_seconds,
    }


def print_rows(rows):
    print(
        f"{'contender':<34}{'ms':>9}{'seq/s':>8}{'GFLOP/s':>9}{'x peer':>8}{'of limit':>9}{'spread':>8}{'GiB':>6}"
        f"{'import':>8}{'compile':>9}"
    )
    for row in rows:
        ratio, share = (
            "" if value is None else f"{value:.2f}" for value in (row["ratio_to_best_peer"], row["share_of_limit"])
        )
        print(
            f"{row['contender']:<34}{row['milliseconds_per_step']:>9.1f}{row['sequences_per_second']:>8.1f}"
            f"{row['gflops']:>9.0f}{ratio:>8}{share:>9}{row['spread']:>8.0%}{row['peak_gib']:>6.2f}"
            f"{row['import_gib']:>8.2f}{row['compile_seconds']:>8.1f}s"
        )


if __name__ == "__main__":
    main()
