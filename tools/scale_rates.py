"""What videorep's commands take at three sizes on this machine, and the straight line through that."""

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CLOSE = 0.15
SHARES = 9, 3, 1  # every 9th video, every 3rd, all of them
STEPS = 20, 60, 180
BATCH, FRAMES, FUTURE, UNITS = 32, 16, 13, 512
STAGES = {"clips": "frames", "percepts": "frames", "pretrain": "steps"}


def measure_rates(videos, backbone, place):
    """Runs `build-shards clips`, `build-shards percepts` and `pretrain` at three sizes each.

    Args:
        videos: Folder of different videos.
        backbone: As for `build-shards percepts`.
        place: Folder for what they make; it goes when all is done.
    Returns:
        dict, JSON values: "cores", "features", and of each stage "sizes", "seconds", "core_seconds" and, of shards,
        "bytes_per_frame".
    """
    from videorep.data.shards.manifest import load_dataset

    found = sorted(path for path in Path(videos).rglob("*") if path.is_file())
    rates = {"cores": len(os.sched_getaffinity(0))} | {stage: [] for stage in STAGES}
    for share in SHARES:
        chosen, clips, percepts = (place / f"{name}-{share}" for name in ("videos", "clips", "percepts"))
        chosen.mkdir(parents=True)
        for number, path in enumerate(found[::share]):
            shutil.copyfile(path, chosen / f"{number:05d}{path.suffix}")
        commands = {"clips": ["clips", chosen, "--out", clips], "percepts": ["percepts", clips, "--out", percepts]}
        commands["percepts"] += ["--backbone", backbone]
        for (stage, command), out in zip(commands.items(), (clips, percepts), strict=True):
            spent = _run("build-shards", *command)
            dataset = load_dataset(out)
            frames = sum(int(dataset.index(split)["frames"].sum()) for split in dataset.splits)
            stored = sum(shard.bytes for shards in dataset.splits.values() for shard in shards)
            rates[stage].append({"size": frames, "bytes_per_frame": stored / frames} | spent)
        rates["features"] = dataset.features
    model = ["--units", UNITS, "--input-frames", FRAMES, "--future-frames", FUTURE, "--batch-size", BATCH]
    for steps in STEPS:
        spent = _run("pretrain", percepts, "--out", place / f"run-{steps}", "--steps", steps, *model)
        rates["pretrain"].append({"size": steps} | spent)
    shutil.rmtree(place)
    return rates


def _run(*words):
    """Seconds by the clock, and of processors, of a command."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "videorep.cli.main", *map(str, words)], check=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "core_seconds": used}


def fit_line(sizes, seconds):
    """(overhead, seconds per unit) for which overhead + size * per unit is closest to `seconds`, errors being shares.

    No overhead is less than 0.
    """
    sizes, seconds = np.asarray(sizes, float), np.asarray(seconds, float)
    line, *_ = np.linalg.lstsq(np.stack([1 / seconds, sizes / seconds], 1), np.ones(len(sizes)), rcond=None)
    if line[0] < 0:
        relative = sizes / seconds
        return 0.0, float(relative.sum() / np.square(relative).sum())
    return float(line[0]), float(line[1])


def check_rates(rates):
    """The model beside what was measured.

    Returns:
        (rows, whether each is within `CLOSE`): of each row {"stage", "size", "measured" and "modelled" rate, "ratio",
        "unseen": the ratio where the line is laid through the two other sizes}.
    """
    rows = []
    for stage, unit in STAGES.items():
        sizes, seconds = ([row[key] for row in rates[stage]] for key in ("size", "seconds"))
        overhead, each = fit_line(sizes, seconds)
        for number, (size, took) in enumerate(zip(sizes, seconds, strict=True)):
            others = [place for place in range(len(sizes)) if place != number]
            unseen = fit_line([sizes[place] for place in others], [seconds[place] for place in others])
            rows.append(
                {
                    "stage": stage,
                    "size": f"{size:,} {unit}",
                    "measured": size / took,
                    "modelled": size / (overhead + each * size),
                    "ratio": took / (overhead + each * size),
                    "unseen": took / (unseen[0] + unseen[1] * size),
                }
            )
    return rows, all(abs(row["ratio"] - 1) <= CLOSE for row in rows)
