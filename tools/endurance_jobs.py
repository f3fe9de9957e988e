"""The commands that tools/endurance tries, small ones, and the videos and the convnet that they work on."""

import atexit
import dataclasses
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

POLL_SECONDS = 0.002
VIDEOS = {"train": 50, "validation": 6, "test": 14}  # of each class
VIDEOREP = (sys.executable, "-P", "-m", "videorep.cli.main")
CLASSES = ("falling", "passing", "rising")
UCF_NAME = re.compile(r"v_([^_]+)_g\d+_c\d+")
SETTINGS = {
    "often.toml": "[training]\nreport_every = 7\ncheckpoint_every = 10\n",
    "stream.toml": "[training]\nlearning_rate = 1e-5\nreport_every = 1\ncheckpoint_every = 2\n",
    "soak.toml": "[training]\nreport_every = 20\ncheckpoint_every = 50\nevaluate_every = 100\n",
}


@dataclasses.dataclass(frozen=True)
class Job:
    """A command without its --out, run in the workspace; `{name}` stands for what the job of that name made.

    Args:
        kind: What it makes: "shards", "run", "versions" (of SavedModels) or "film".
        begins_with: Name of the job whose result lies in --out before this one begins, or "".
    """

    name: str
    kind: str
    command: str
    begins_with: str = ""

    @property
    def resume(self):
        """What is added to go on after an interruption."""
        return () if self.kind == "versions" else ("--resume",)


TRAIN = "--units 64 --layers 1 --batch-size 32 --config often.toml"
JOBS = {
    job.name: job
    for job in (
        Job("clips", "shards", "build-shards clips videos --labels folders --allow-leaks --size 64x96"),
        Job("percepts", "shards", "build-shards percepts {clips} --backbone backbone.keras"),
        Job(
            "direct", "shards", "build-shards percepts videos --backbone backbone.keras --labels folders --allow-leaks"
        ),
        Job("moving-mnist", "shards", "build-shards moving-mnist --count 1100"),
        Job("pretrain", "run", f"pretrain {{percepts}} {TRAIN} --steps 200 --input-frames 8 --future-frames 6"),
        Job("pretrain-digits", "run", f"pretrain moving-mnist {TRAIN} --steps 60"),
        Job("finetune", "run", "finetune {percepts} --init {pretrain} --batch-size 32 --config often.toml --steps 200"),
        Job("stream", "run", "train-stream {clips} --flow-stack 1 --batch-size 1 --steps 5 --config stream.toml"),
        Job("export", "versions", "export {finetune}"),
        Job("export-again", "versions", "export {finetune} --version 1 --overwrite", begins_with="export"),
    )
}


@dataclasses.dataclass(frozen=True)
class Reference:
    """What a job makes when nothing happens to it, in how many seconds and changes of its folder."""

    folder: Path
    seconds: float
    changes: int


class Workspace:
    """A folder with all that the jobs need and make.

    Args:
        folder: A new or empty folder.
        videos: Folder of videos to use, in a folder per class or with UCF-101's names; None: numbers are drawn.
    """

    def __init__(self, folder, videos=None):
        self.folder = Path(folder)
        self._references = {}
        for name in ("reference", "trials", "logs"):
            (self.folder / name).mkdir(parents=True)
        for name, text in SETTINGS.items():
            (self.folder / name).write_text(text)
        if videos is None:
            draw_videos(self.folder / "videos")
        else:
            link_videos(self.folder / "videos", Path(videos))
        write_backbone(self.folder / "backbone.keras")

    def reference(self, job):
        """The `Reference` of a job; made once."""
        if job.name not in self._references:
            out = self.prepare(job, self.folder / "reference" / job.name)
            process, begun, changes = self.start(job, out), None, 0
            for changes in watch(process, out):
                begun = begun or (changes and time.monotonic())
            seconds = time.monotonic() - (begun or time.monotonic())
            if process.returncode:
                sys.exit(f"Error: expected {job.name} to succeed, received:\n{self.said(job.name)}")
            self._references[job.name] = Reference(out, seconds, changes)
        return self._references[job.name]

    def prepare(self, job, out):
        """Removes what lies at `out` and puts there what the job begins with; returns `out`."""
        shutil.rmtree(out, ignore_errors=True)
        if job.begins_with:
            shutil.copytree(self.reference(JOBS[job.begins_with]).folder, out)
        return out

    def start(self, job, out, *options, log=None, camera=None):
        """Starts the command in a session of its own; what it says goes to a log, of the job's name unless given.

        `{camera}` in the command stands for the URL given here.
        """
        needs = {
            name: self.reference(JOBS[name]).folder for name in re.findall(r"{(.+?)}", job.command) if name in JOBS
        }
        made = {name: path.relative_to(self.folder) for name, path in needs.items()}
        command = job.command.format(camera=camera, **made)
        with open(self.log(log or job.name), "w") as file:
            process = subprocess.Popen(
                [*VIDEOREP, *shlex.split(command), "--out", out, *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        atexit.register(process.kill)  # it would go on after a Ctrl-C
        return process

    def said(self, log):
        """What the command said that was started last with this log."""
        return self.log(log).read_text()

    def log(self, log):
        """Where it is kept."""
        return self.folder / "logs" / f"{log}.txt"


def watch(process, folder):
    """Yields, over and over until the process has ended, how many changes of the folder were seen."""
    seen, changes = list_files(folder), 0
    while process.poll() is None:
        now = list_files(folder)
        changes += now != seen
        seen = now
        yield changes
        time.sleep(POLL_SECONDS)


def list_files(folder):
    """{path: (size, time of change)} of all files and folders within; what vanishes meanwhile is left out."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(parent, name)
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


def end_stragglers(session, patience=60):
    """Waits until no process of a session is left, then kills those that are; returns how many it had to kill."""
    deadline = time.monotonic() + patience
    while (left := processes_of(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return len(left)


def processes_of(session):
    """Numbers of the processes of a session, those left out that have ended and were not waited for."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = path.read_text().rpartition(") ")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(number) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def draw_videos(folder):
    """Writes small videos, FOLDER/SPLIT/CLASS/NUMBER.avi: a square that moves, over a pattern that no two share."""
    generator = np.random.default_rng(0)
    for split, count in VIDEOS.items():
        for label, (down, right) in zip(CLASSES, [(1, 0), (0, 1), (-1, 0)], strict=True):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                pattern = cv2.resize(generator.integers(0, 160, (6, 8, 3), dtype=np.uint8), (128, 96))
                path = str(folder / split / label / f"{number:02d}.avi")
                writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (128, 96))
                for time_step in range(30):
                    frame = pattern.copy()
                    row, column = (48 + 2 * down * time_step) % 80, (56 + 2 * right * time_step) % 112
                    frame[row : row + 16, column : column + 16] = 255
                    writer.write(frame)
                writer.release()


def link_videos(folder, videos):
    """Links videos as FOLDER/SPLIT/CLASS/NAME, by turns into the splits."""
    splits = ("train", "train", "train", "validation", "test")
    for number, path in enumerate(sorted(path for path in videos.resolve().rglob("*") if path.is_file())):
        name = UCF_NAME.match(path.name)
        parent = folder / splits[number % len(splits)] / (name[1] if name else path.parent.name)
        parent.mkdir(parents=True, exist_ok=True)
        (parent / f"{number:05d}-{path.name}").symlink_to(path)


def write_backbone(path):
    """Writes a convnet of random weights for percepts of 64 features."""
    import keras

    keras.utils.set_random_seed(0)
    images = keras.Input((64, 64, 3))
    features = keras.layers.Conv2D(16, 5, strides=4, activation="relu")(keras.layers.Rescaling(1 / 255)(images))
    features = keras.layers.Dense(64, activation="relu")(keras.layers.GlobalAveragePooling2D()(features))
    keras.Model(images, features).save(path)
