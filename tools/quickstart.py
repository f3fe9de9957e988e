"""The way from nothing to a served action classifier, on data made here: python tools/quickstart.py FOLDER.

Every step prints the command that it runs. It is sized for two cores and takes them a few minutes.
"""

import functools
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from videorep.data.digits.mnist import load_digits

BIN = Path(sys.executable).parent
TOOLS = Path(__file__).resolve().parent
MARKER = "made-by-quickstart"
SIZE, DIGIT, FRAMES = 64, 28, 32
SPEED = 3.6  # pixels per frame, as moving-mnist
MOTIONS = {"diagonal": (1, 1), "left-right": (1, 0), "still": (0, 0), "up-down": (0, 1)}
VIDEOS = {"train": 100, "test": 20}  # per class

MADE = {
    "digits/": "shards of moving digits",
    "digits-run/": "the pretrained encoder-decoder; tensorboard --logdir digits-run",
    "future.json": "its figures beside those of the trivial predictors",
    "videos/, clips/": "labelled videos, and their shards",
    "classifier/": "the action classifier",
    "accuracy.json": "its accuracy",
    "serving/1/": "the SavedModel",
    "predictions.png": "truth, reconstruction and predicted future, frame by frame",
    "predictions.gif": "the same, moving",
    "training.png": "the training curve",
}


def say(title):
    print(f"\n== {title}", flush=True)


def run_command(folder, command):
    """Prints a command, runs it in the folder, and ends everything if it fails."""
    print(f"$ {command}", flush=True)
    program, *arguments = shlex.split(command)
    # TensorFlow's C++ libraries write lines of no interest to standard error when a plain program loads them.
    errors = subprocess.PIPE if program == "python" else None
    result = subprocess.run([BIN / program, *arguments], cwd=folder, stderr=errors, text=True)
    if result.returncode:
        print(result.stderr or "", file=sys.stderr)
        sys.exit(f"Error: expected the command above to succeed, received exit status {result.returncode}")


def bounce(start, step, travel):
    """Positions, one per frame, of a point that moves evenly and turns round at 0 and at `travel`."""
    place = (start + step * np.arange(FRAMES)) % (2 * travel)
    return np.minimum(place, 2 * travel - place).astype(int)


def draw_video(digit, motion, generator):
    """(FRAMES, SIZE, SIZE) uint8: one digit that moves as `motion` says, from a random place, in a random direction."""
    travel = SIZE - DIGIT
    rows, columns = (bounce(generator.uniform(0, 2 * travel), SPEED * step, travel) for step in reversed(motion))
    frames = np.zeros((FRAMES, SIZE, SIZE), np.uint8)
    for frame, row, column in zip(frames, rows, columns, strict=True):
        frame[row : row + DIGIT, column : column + DIGIT] = digit
    return frames


def write_videos(folder):
    """Writes labelled .avi files as FOLDER/SPLIT/CLASS/NAME.avi; the test videos show other digits."""
    generator = np.random.default_rng(0)
    for split, count in VIDEOS.items():
        digits = load_digits("rendered", split)
        for label, motion in MOTIONS.items():
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                frames = draw_video(digits[generator.integers(len(digits))], motion, generator)
                path = str(folder / split / label / f"{label}-{number:02d}.avi")
                writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (SIZE, SIZE))
                for frame in frames:
                    writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
                writer.release()


def prepare(output):
    """Makes an empty folder; removes what an earlier quickstart left there, and nothing else."""
    if output.exists() and any(output.iterdir()):
        if not (output / MARKER).exists():
            sys.exit(
                f"Error: expected a new or empty folder, received {output}, which holds other files; choose another"
            )
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    (output / MARKER).touch()


def main():
    output = Path(sys.argv[1])
    prepare(output)
    began = time.monotonic()
    print(f"Everything is made in {output}; the commands below run there.")
    run = functools.partial(run_command, output)

    say("1. Shards: a fixed set of moving digits, to measure on")
    run("videorep build-shards moving-mnist --out digits --count 500")

    say("2. Pretraining without labels, on endless moving digits")
    run("videorep pretrain moving-mnist --out digits-run --units 256 --steps 3200")

    say("3. How well does it predict the future?")
    run("videorep evaluate digits-run digits --json future.json")

    say("4. An action classifier from a few labelled videos")
    write_videos(output / "videos")
    print(f"Wrote {sum(VIDEOS.values()) * len(MOTIONS)} videos: {output}/videos/SPLIT/CLASS/NAME.avi")
    run("videorep build-shards clips videos --out clips --labels folders")
    run("videorep finetune clips --init digits-run --out classifier --steps 300 --batch-size 32 --learning-rate 2e-3")
    run("videorep evaluate classifier clips --json accuracy.json")

    say("5. Serving: a SavedModel, loaded by a program that knows TensorFlow only")
    run("videorep export classifier --out serving")
    program = shlex.quote(str(TOOLS / "classify_with_tensorflow.py"))
    run(f"python {program} serving/1 videos/test/up-down/up-down-00.avi")

    say("6. Pictures")
    run("videorep predict digits-run digits --out predictions.png")
    run("videorep predict digits-run digits --out predictions.gif")
    run("videorep visualize digits-run curves --out training.png")

    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    say(f"Done in {minutes} min {seconds:02d} s. Made in {output}:")
    for name, what in MADE.items():
        print(f"  {name:<18}{what}")


if __name__ == "__main__":
    main()
