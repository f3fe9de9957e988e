"""Makes videos whose classes differ in motion alone: python tools/motion_videos.py MODE.

digits   A digit of Moving MNIST moves right, left, down or up beside one that stands still, 64x64 pixels.
reverse  Every clip of a folder of clip shards is played forward and backward.

The videos of one class are like those of another played backward: what is averaged over time says nothing. All are
written as motion JPEG (every frame for itself: a codec that predicts frames would tell the direction) to
OUT/SPLIT/CLASS/*.avi:

    python tools/motion_videos.py digits --out digits
    videorep build-shards clips digits --out clips --labels folders --size 64x64
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from videorep.data import read_shards
from videorep.data.digits.mnist import load_digits
from videorep.data.shards.manifest import load_dataset

SIZE, FRAMES, RATE = 64, 30, 25.0  # as many as pretraining for actions takes, 16 and 13 to come
SPEEDS = (0.5, 1.2)  # pixels per frame: no digit leaves the frame
TURNS = {"right": (1, False), "left": (1, True), "down": (0, False), "up": (0, True)}  # axis, played backward


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    digits, reverse = modes.add_parser("digits"), modes.add_parser("reverse")
    for mode in (digits, reverse):
        mode.add_argument("--out", type=Path, required=True, help="folder to make")
    digits.add_argument("--train", type=int, default=64, help="videos to train on")
    digits.add_argument("--test", type=int, default=200, help="videos to test on")
    digits.add_argument("--digits", default="mnist", help="as of videorep pretrain")
    digits.add_argument("--seed", type=int, default=0)
    reverse.add_argument("shards", help="clip shards")
    arguments = parser.parse_args()
    if arguments.mode == "digits":
        for number, (split, count) in enumerate({"train": arguments.train, "test": arguments.test}.items()):
            generator = np.random.default_rng([arguments.seed, number])
            images = load_digits(arguments.digits, split)
            for each, (name, frames) in enumerate(draw_digits(images, count, generator)):
                write_video(arguments.out / split / name / f"{each:05d}.avi", frames)
    else:
        for split in load_dataset(arguments.shards).splits:
            for clip in read_shards(arguments.shards, split):
                frames, path = clip["frames"].numpy(), Path(clip["path"].numpy().decode()).with_suffix("")
                name = "-".join(path.parts)
                write_video(arguments.out / split / "forward" / f"{name}.avi", frames)
                write_video(arguments.out / split / "backward" / f"{name}.avi", frames[::-1])


def draw_digits(images, count, generator):
    """Yields `count` pairs of a class of `TURNS`, by turns, and (30, 64, 64, 3) uint8 frames."""
    travel, classes = SIZE - images.shape[1], list(TURNS)
    for number in range(count):
        axis, is_backward = TURNS[classes[number % len(classes)]]
        moving, still = images[generator.choice(len(images), 2, replace=False)]
        speed = generator.uniform(*SPEEDS)
        start, beside = generator.uniform(0, travel - speed * (FRAMES - 1)), generator.uniform(0, travel)
        place = generator.uniform(0, travel, 2)
        frames = np.zeros((FRAMES, SIZE, SIZE), np.uint8)
        for step, frame in enumerate(frames):
            corner = (beside, start + speed * step) if axis else (start + speed * step, beside)
            for image, (row, column) in ((moving, np.int64(corner)), (still, np.int64(place))):
                region = frame[row : row + len(image), column : column + len(image)]
                np.maximum(region, image, out=region)
        yield classes[number % len(classes)], np.repeat(frames[:: -1 if is_backward else 1, ..., None], 3, axis=-1)


def write_video(path, frames):
    """Writes RGB frames (T, H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), RATE, frames.shape[2:0:-1])
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


if __name__ == "__main__":
    main()
