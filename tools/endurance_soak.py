"""An hour of training and of watching a camera, seen from outside: memory, threads and open files of each process."""

import contextlib
import csv
import dataclasses
import shutil
import signal
import statistics
import time
from pathlib import Path

from endurance_camera import camera
from endurance_jobs import Job

SAMPLES = 720  # at most one every SHORTEST seconds
SHORTEST = 0.5
# Title, what is compared of the second and the last quarter, by how much it may grow. What is lost is never let go: it
# raises even the least, which a pool's threads and a checkpoint's file, which come and go, do not.
FIGURES = {
    "memory_mib": ("memory (MiB)", statistics.fmean, 1.02),
    "threads": ("threads", min, 1.0),
    "files": ("open files", min, 1.0),
}
TRAIN = (
    "--units 128 --layers 1 --batch-size 32 --steps 1000000000 --config soak.toml --input-frames 8 --future-frames 6"
)
SOAKS = (
    Job("soak-percepts", "run", f"pretrain {{percepts}} {TRAIN}"),
    Job("soak-patches", "run", f"pretrain {{clips}} --patch 16 {TRAIN}"),
    Job("soak-watch.mp4", "film", "watch {camera} --run {finetune}"),
)


@dataclasses.dataclass(frozen=True)
class Sample:
    """What a process held, `minutes` after the first sample."""

    minutes: float
    memory_mib: float
    threads: int
    files: int


def soak(workspace, minutes, jobs=SOAKS):
    """Runs jobs side by side for a time, then ends all with SIGTERM; leaves soak.csv and soak.png in the workspace.

    (Not with Ctrl-C, which what is started in the background of a shell ignores.)

    Returns:
        {name of the job: (row of figures, sentences about what is wrong)}.
    """
    outs = {job: workspace.prepare(job, workspace.folder / job.name) for job in jobs}
    samples = {job: [] for job in jobs}
    with camera() as url:
        processes = {job: workspace.start(job, out, camera=url) for job, out in outs.items()}
        wait_for_reports(workspace, outs, processes)
        begun, every = time.monotonic(), max(SHORTEST, 60 * minutes / SAMPLES)
        while time.monotonic() - begun < 60 * minutes and all(process.poll() is None for process in processes.values()):
            for job, process in processes.items():
                with contextlib.suppress(FileNotFoundError, KeyError):
                    samples[job].append(sample(process.pid, (time.monotonic() - begun) / 60))
            time.sleep(every)
        for process in processes.values():
            process.terminate()
    results = {}
    for job, process in processes.items():
        is_well = process.wait() == 128 + signal.SIGTERM
        ended = [] if is_well else [f"exit status {process.returncode}: {workspace.said(job.name)[-500:]}"]
        row, faults = judge(samples[job])
        results[job.name] = row, ended + faults
        shutil.rmtree(outs[job] / "checkpoints", ignore_errors=True)
    write_csv(workspace.folder / "soak.csv", samples)
    draw(workspace.folder / "soak.png", samples)
    return results


def wait_for_reports(workspace, outs, processes):
    """Waits until every job has reported once: then all is loaded and compiled."""
    waiting = set(outs)
    while waiting:
        time.sleep(SHORTEST)
        waiting = {job for job in waiting if processes[job].poll() is None and not has_reported(workspace, job)}


def has_reported(workspace, job):
    """Whether a run has written figures, or whoever watches has told a class."""
    said = workspace.folder / job.name / "metrics.jsonl" if job.kind == "run" else workspace.log(job.name)
    return said.exists() and said.stat().st_size > 0


def sample(process, minutes):
    """Reads a `Sample` of a process from /proc; FileNotFoundError or KeyError where it has just ended."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    memory = int(lines["VmRSS"].split()[0]) / 1024
    return Sample(minutes, memory, int(lines["Threads"]), len(list(Path(f"/proc/{process}/fd").iterdir())))


def judge(samples):
    """(figures of the second and the last quarter, sentences about what grew between them)."""
    quarter = max(1, len(samples) // 4)
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    if len(samples) < 4:
        return {}, [f"only {len(samples)} samples"]
    figures = {
        name: [summary(getattr(each, name) for each in part) for part in (second, last)]
        for name, (_, summary, _) in FIGURES.items()
    }
    faults = [
        f"{title} grew from {figures[name][0]:,.0f} to {figures[name][1]:,.0f}"
        for name, (title, _, growth) in FIGURES.items()
        if figures[name][1] > growth * figures[name][0]
    ]
    return figures, faults


def write_csv(path, samples):
    """Writes all samples as rows."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["job", *(field.name for field in dataclasses.fields(Sample))])
        writer.writerows([job.name, *dataclasses.astuple(each)] for job, rows in samples.items() for each in rows)


def draw(path, samples):
    """Draws memory, threads and open files over time, one line per job."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(FIGURES), sharex=True, figsize=(7, 6), layout="constrained")
    for axis, (name, (title, _, _)) in zip(axes, FIGURES.items(), strict=True):
        for job, rows in samples.items():
            axis.plot([each.minutes for each in rows], [getattr(each, name) for each in rows], label=job.name)
        axis.set_ylabel(title)
        axis.set_ylim(bottom=0)
    axes[0].legend()
    axes[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=80)
    plt.close(figure)
