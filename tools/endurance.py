"""Shows that videorep loses nothing, on small data that it makes itself: python tools/endurance.py MODE.

kill       Kills commands at random moments (SIGKILL) and gives them again with --resume: the end must be what an
           uninterrupted command makes, byte for byte but for moments and measured seconds; exported versions are whole
           and answer to every signature. Of exports it also kills the check alone: nothing may come of these.
disk-full  Gives commands disks that are too small: they must say so in one sentence, and go on once there is room.
contend    Starts commands several times at once on one folder: one does the work, the others say why they do not.
soak       For a time trains from percepts and from patches and watches a camera; looks at memory, threads, open files.

Exit status 1 if anything was wrong. What lies in trials/ then is the first of each command that went wrong. Random
moments follow from --seed and from how long a command takes here, so a second run finds others.
"""

import argparse
import math
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
from endurance_jobs import JOBS, Workspace
from endurance_soak import FIGURES, soak
from endurance_trials import contend, disk_full, kill, kill_check

from videorep.quiet import load_tensorflow, silence_tensorflow

MARKER = "made-by-endurance"
CHECKS = 4  # exports that are killed for each whose check is


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running or mounted
    folder = Path(arguments.out).resolve()
    prepare(folder)
    if arguments.mode == "disk-full" and os.geteuid():
        print("Nothing was tried: disk-full mounts small disks, which needs root.")
        return
    print(f"Everything is made in {folder}", flush=True)
    silence_tensorflow()
    load_tensorflow()
    workspace = Workspace(folder, arguments.videos)
    if arguments.mode == "soak":
        faulty = run_soak(workspace, arguments.minutes)
    else:
        faulty = sum(run_trials(workspace, JOBS[name], list_trials(arguments, name)) for name in arguments.command)
    sys.exit(1 if faulty else 0)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--seed", type=int, default=0, help="decides the random moments, sizes and delays")
    common.add_argument(
        "--videos", metavar="FOLDER", help="videos in class folders or with UCF-101's names; else drawn"
    )
    common.add_argument(
        "--out", default="endurance-output", metavar="FOLDER", help="a new folder, or one of this tool's"
    )
    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument("--command", nargs="+", choices=list(JOBS), default=list(JOBS), help="all unless given")
    modes = parser.add_subparsers(dest="mode", required=True)
    modes.add_parser("kill", parents=[common, chosen]).add_argument("--times", type=int, default=20)
    modes.add_parser("disk-full", parents=[common, chosen]).add_argument("--points", type=int, default=10)
    contend_mode = modes.add_parser("contend", parents=[common, chosen])
    contend_mode.add_argument("--processes", type=int, nargs="+", default=[2, 5])
    contend_mode.add_argument("--times", type=int, default=10)
    modes.add_parser("soak", parents=[common]).add_argument("--minutes", type=float, default=60)
    return parser.parse_args()


def prepare(folder):
    """Makes an empty folder; removes what an earlier call left there, and nothing else."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            sys.exit(f"Error: expected a new or empty folder, received {folder}, which holds other files; use another")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def list_trials(arguments, name):
    """The mode's trials of the command called `name`: functions of workspace, job and random generator."""
    if arguments.mode == "kill":
        trials = [kill] * arguments.times
        if JOBS[name].kind == "versions":
            trials += [kill_check] * math.ceil(arguments.times / CHECKS)
    elif arguments.mode == "disk-full":
        trials = [disk_full] * arguments.points
    else:
        trials = [contention(count, turn) for count in arguments.processes for turn in range(arguments.times)]
    generators = np.random.default_rng([arguments.seed, list(JOBS).index(name)]).spawn(len(trials))
    return list(zip(trials, generators, strict=True))


def contention(processes, turn):
    """A trial of `contend`: by turns plainly, to go on, and to begin anew."""

    def trial(workspace, job, generator):
        options = [(), job.resume, ("--overwrite",) if job.resume else ()][turn % 3]
        return contend(workspace, job, processes, options, generator)

    return trial


def run_trials(workspace, job, trials):
    """Runs the trials of one command and prints a line for each; returns how many went wrong."""
    faulty = 0
    for number, (trial, generator) in enumerate(trials, 1):
        words, faults = trial(workspace, job, generator)
        print(f"{job.name} {number}/{len(trials)}: {words}: {'; '.join(faults) or 'well'}", flush=True)
        faulty += bool(faults)
        left = workspace.folder / "trials" / job.name
        if faults and faulty == 1 and left.exists():
            left.rename(f"{left}-wrong")
        shutil.rmtree(left, ignore_errors=True)
    print(f"{job.name}: {faulty} of {len(trials)} went wrong", flush=True)
    return faulty


def run_soak(workspace, minutes):
    """Runs the soak and prints a table; returns how many commands went wrong."""
    results = soak(workspace, minutes)
    print(f"{'second and last quarter':<28}{'memory (MiB)':>22}{'threads':>14}{'open files':>14}")
    for name, (figures, faults) in results.items():
        cells = {what: " -> ".join(f"{value:,.0f}" for value in figures.get(what, ())) for what in FIGURES}
        print(f"{name:<28}{cells['memory_mib']:>22}{cells['threads']:>14}{cells['files']:>14}")
        print(f"{name}: {'; '.join(faults) or 'well'}")
    print(f"All samples: {workspace.folder / 'soak.csv'}, as a picture: {workspace.folder / 'soak.png'}")
    return sum(bool(faults) for _, faults in results.values())


if __name__ == "__main__":
    main()
