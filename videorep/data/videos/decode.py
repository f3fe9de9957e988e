"""Frames out of video files, through the FFmpeg in OpenCV: open, seek, resample in time. No TensorFlow."""

import contextlib
import os
import re
import sys

import cv2

from videorep.data.videos.workers import anonymous_file
from videorep.errors import DataError

RATES = (0.05, 1000.0)  # frames per second that a header can mean in earnest
SEEK_FROM = 10.0  # seconds; an earlier start is reached faster and more safely by decoding
USUAL_RATE = 25.0  # frames per second of a video that tells none
INSTANT = 1e-3  # seconds; containers round timestamps to milliseconds
CONTAINERS = {"avi", "matroska,webm", "mpeg", "mpegts", "mpegvideo", "flv", "live_flv", "asf", "ogg", "swscaler", "gif"}
LISTS = (b"ffconcat", b"#EXTM3U")  # how those begin
# The h264 decoder calls these errors, but streams that play without a flaw have them.
HARMLESS = ("mmco: unref short failure", "number of reference frames", "co located POCs unavailable")


class VideoError(DataError):
    """A video cannot be used; `reason` is the short form that dataset.json lists."""

    def __init__(self, path, reason):
        super().__init__(f"expected a complete video at {path}, received: {reason}; mend or replace the file")
        self.reason = reason


class DecoderLog:
    """Collects what FFmpeg writes to the process's standard error within a `with` block; the screen stays clean."""

    def __enter__(self):
        sys.stderr.flush()
        self._file = anonymous_file()
        self._start = 0
        self._stderr = os.dup(2)
        os.dup2(self._file.fileno(), 2)
        return self

    def __exit__(self, *exception):
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        self._file.close()

    def discard(self):
        """Forgets what was written so far."""
        self._start = os.lseek(2, 0, os.SEEK_CUR)

    def messages(self):
        """(writer, message) pairs, without the addresses that differ between runs."""
        written = os.pread(2, os.fstat(2).st_size - self._start, self._start).decode(errors="replace")
        return re.findall(r"^\[(\S+) @ 0x[0-9a-f]+\] (.*)$", written, re.MULTILINE)

    def decoder_errors(self):
        """Messages of the decoder that tell of damage."""
        return [
            message
            for writer, message in self.messages()
            if writer not in CONTAINERS and not writer.startswith("mov,") and not message.startswith(HARMLESS)
        ]


@contextlib.contextmanager
def _valid_name(path):
    """The whole path, or while the block lasts another name for the file if it is not UTF-8, on which OpenCV crashes.

    Whole, since FFmpeg takes a name such as "concat:a|b" for a protocol.
    """
    path = os.path.abspath(path)
    if path.encode(errors="ignore").decode() == path:
        yield path
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise VideoError(path, f"unreadable: {error.strerror}") from error
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _require_frames_of_its_own(path):
    """Raises a VideoError for a list of other files, which FFmpeg would open in place of this one."""
    try:
        with open(path, "rb") as file:
            if file.read(max(map(len, LISTS))).startswith(LISTS):
                raise VideoError(path, "unreadable: a list of other files, not a video")
    except OSError as error:
        raise VideoError(path, f"unreadable: {error.strerror}") from error


class VideoReader:
    """The frames of one video in the order of time; `beat` is called with each that is grabbed.

    Times count from the first frame. Where a container has no usable timestamp for a frame (AVI has none for the last
    ones), it is one frame's length after the one before.

    Raises:
        VideoError: FFmpeg cannot open it.
    """

    def __init__(self, path, beat=None):
        self.path, self._beat = path, beat
        self._open()
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.header_rate = rate if RATES[0] <= rate <= RATES[1] else None
        self.header_frames = int(frames) if 0 < frames < 1e9 else 0

    def _open(self):
        _require_frames_of_its_own(self.path)
        settings = [cv2.CAP_PROP_N_THREADS, 1]  # the cores are busy with other videos
        with _valid_name(self.path) as name:
            self._capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, settings)
        if not self._capture.isOpened():
            raise VideoError(self.path, "unreadable: FFmpeg cannot open it")
        self._origin = None
        self.seconds = None
        self.grabbed = 0

    def close(self):
        """Closes the file; the decoder may still complain while it does."""
        self._capture.release()

    def grab(self):
        """Moves on to the next frame without converting it; False at the end."""
        if not self._capture.grab():
            return False
        stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._origin is None:
            self._origin = stamp
        seconds = stamp - self._origin
        if self.seconds is not None and not seconds > self.seconds + INSTANT / 10:
            if self.header_rate is None:
                raise VideoError(self.path, "unreadable: neither header nor frames tell the frame rate")
            seconds = self.seconds + 1 / self.header_rate
        self.seconds = seconds
        self.grabbed += 1
        if self._beat is not None:
            self._beat()
        return True

    def frames(self, start=0.0, every=1):
        """Yields (seconds, BGR image) from a little before `start` to the end.

        Of the frames from `start` on only each `every`-th is converted and comes: FFmpeg decodes all, as it must.
        """
        lead = max(1.0, 3 / (self.header_rate or 1.0))
        if start > max(SEEK_FROM, 2 * lead):
            self._seek(start, lead)
        number = 0
        while self.grab():
            if self.seconds >= start - lead and number % every == 0:
                converted, image = self._capture.retrieve()
                if converted:
                    yield self.seconds, image
            number += self.seconds >= start - INSTANT

    def _seek(self, start, lead):
        """Jumps to a little before `start`, or begins anew where the container's index leads astray."""
        if self.grab():
            self._capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * (start - lead))
            self.seconds = None
            if self.grab() and 0 < self.seconds <= start - lead / 2:
                return
        self.close()
        self._open()

    def length(self):
        """Seconds that the header promises; counted where it promises nothing."""
        if self.header_frames and self.header_rate:
            return self.header_frames / self.header_rate
        while self.grab():
            pass
        return 0.0 if self.seconds is None else self.seconds * self.grabbed / max(1, self.grabbed - 1)


def frame_step(rate, fps, every=None):
    """Every how many frames one is taken: `every`, or so that of `rate` per second about `fps` are; 1 without both."""
    return every or (max(1, round(rate / fps)) if fps else 1)


def _whole(frames, start, end):
    """The frames within [start, end), each once."""
    for seconds, image in frames:
        if seconds >= end - INSTANT:
            return
        if seconds >= start - INSTANT:
            yield seconds, image


def _resampled(frames, start, end, fps):
    """For each moment start + k / fps before `end` and the end of the video, the frame that is shown then."""
    shown, shown_at, interval, k = None, None, 1 / fps, 0
    for seconds, image in frames:
        while shown is not None and start + k / fps < min(seconds, end) - INSTANT:
            yield start + k / fps, shown
            k += 1
        if shown is not None:
            interval = seconds - shown_at
        shown, shown_at = image, seconds
        if start + k / fps >= end - INSTANT:
            return
    while shown is not None and start + k / fps < min(shown_at + interval, end) - INSTANT:
        yield start + k / fps, shown
        k += 1


def read_frames(reader, fps=None, start=None, end=None, every=None):
    """Yields (seconds, BGR image) of a video or of the piece [start, end) of it: of all frames, of those that are shown
    `fps` times a second, or of each `every`-th."""
    start, end = start or 0.0, float("inf") if end is None else end
    with contextlib.closing(reader.frames(start, every or 1)) as frames:
        yield from _whole(frames, start, end) if fps is None else _resampled(frames, start, end, fps)


def resize_frame(image, size):
    """Resizes by area averaging to (height, width), or so that the shorter side is `size`; None changes nothing."""
    if isinstance(size, int):
        shorter = min(image.shape[:2])
        size = [max(1, round(side * size / shorter)) for side in image.shape[:2]]
    if size is None or image.shape[:2] == tuple(size):
        return image
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
