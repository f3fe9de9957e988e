"""Small real video files whose frames carry their own number, so that a test can tell which frame it got."""

import contextlib

import cv2
import numpy as np

from videorep.data.videos.decode import VideoReader, read_frames, resize_frame

BITS = 10
BLOCK = 8
WIDTH, HEIGHT = BITS * BLOCK, 48


def numbered_frame(number, width=WIDTH, height=HEIGHT):
    """A BGR frame: `number` as black and white blocks on top, a moving red pattern on dark blue below."""
    frame = np.full((height, width, 3), (90, 0, 0), np.uint8)
    for bit in range(BITS):
        frame[:16, bit * BLOCK : (bit + 1) * BLOCK] = 255 if number >> bit & 1 else 0
    left = number * 3 % (width - 16)
    frame[24:40, left : left + 16] = (0, 0, 220)
    return frame


def read_number(image):
    """The number of a decoded frame of any size (RGB or BGR)."""
    top = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)[2:14].mean(axis=(0, 2))
    return sum((top[bit * BLOCK + 2 : (bit + 1) * BLOCK - 2].mean() > 127) << bit for bit in range(BITS))


def write_video(path, frames=20, fps=25.0, first=0, fourcc=None, width=WIDTH, height=HEIGHT):
    """Writes numbered frames; MPEG-4 in .mp4, .mkv and .mov, motion JPEG in .avi unless `fourcc` says otherwise."""
    fourcc = fourcc or ("MJPG" if str(path).endswith(".avi") else "mp4v")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*fourcc), fps, (width, height))
    assert writer.isOpened()
    for number in range(first, first + frames):
        writer.write(numbered_frame(number, width, height))
    writer.release()
    return path


def decode_video(path, *, fps=None, size=None, start=None, end=None):
    """Yields the frames of a video, or of a piece of it, as builds take them: (H, W, 3) RGB uint8."""
    reader = VideoReader(path)
    with contextlib.closing(reader):
        for _, image in read_frames(reader, fps, start, end):
            yield cv2.cvtColor(resize_frame(image, size), cv2.COLOR_BGR2RGB)
