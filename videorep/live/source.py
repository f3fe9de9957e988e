"""Where frames are watched: a file, a camera or a stream over the network, opened again where it breaks off.

OpenCV decodes in this process, not in a worker as builds do: it is the user's own camera.
"""

import time

import cv2

from videorep.data.videos.decode import RATES, VideoError, VideoReader
from videorep.data.videos.encode import missing_frames
from videorep.data.videos.find import inspect_file
from videorep.errors import DataError

PATIENCE_MS = 5_000  # that opening a stream, and waiting for its next frame, may take
PAUSES = (0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8)  # seconds before each try to open a stream again
USUAL_RATE = 25.0  # of a source that tells none


class Source:
    """The frames of a source, some of them.

    Args:
        name: A file, a camera's number, or a URL (RTSP, HTTP, ...).
        every: N, to take every N-th frame; None for about `fps` frames per second.
        fps: Frames per second that are wanted; None for all.
        tell: Function that is told in a sentence what happens to a stream.
    Attributes:
        rate: Frames per second that are taken, as far as the source tells.
        taken, skipped: How many frames were taken, and passed over.
    Raises:
        DataError, VideoError: it cannot be opened, or a stream does not come back.
    """

    def __init__(self, name, every=None, fps=None, tell=lambda sentence: None):
        self._name, self._tell, self._end = str(name), tell, None
        self._is_url, self._is_camera = "://" in self._name, self._name.isdecimal()
        self._open()
        own = self._reader.header_rate or USUAL_RATE
        self.every = every or (max(1, round(own / fps)) if fps else 1)
        self.rate = own / self.every
        self.taken = self.skipped = 0

    def close(self):
        self._reader.close()

    def frames(self):
        """Yields (seconds, (H, W, 3) uint8 BGR): time in a file, or since a camera or stream was opened."""
        number = 0
        while True:
            for seconds, image in self._reader.frames():
                if number % self.every:
                    self.skipped += 1
                else:
                    self.taken += 1
                    yield seconds, image
                number += 1
            if not self._is_url or self._reader.header_frames:
                break
            self._reopen()
        if self._reader.header_frames and (missing := missing_frames(self._reader)):
            self._tell(f"{self._name} is damaged or was cut: {missing[0]}")

    def _open(self):
        if self._is_url or self._is_camera:
            began = time.monotonic() if self._end is None else self._began
            self._reader, self._began = _LiveReader(self._name, self._is_camera, began), began
        else:
            if problem := inspect_file(self._name, self._name).problem:
                raise VideoError(self._name, problem)
            self._reader = VideoReader(self._name)

    def _reopen(self):
        """Opens a stream that broke off again; tells how long it was gone."""
        self._end = time.monotonic()
        self._reader.close()
        self._tell(f"{self._name} broke off; trying to open it again")
        for pause in PAUSES:
            time.sleep(pause)
            try:
                self._open()
            except DataError:
                continue
            self._tell(f"{self._name} is back after {time.monotonic() - self._end:.1f} s without frames")
            return
        raise DataError(
            f"expected {self._name} to go on, received nothing in {time.monotonic() - self._end:.0f} s and "
            f"{len(PAUSES)} tries; check the server, then watch again"
        )


class _LiveReader:
    """A camera or a stream, with what is used of a `VideoReader`; a frame's time is when it came."""

    def __init__(self, name, is_camera, began):
        self._began, self.grabbed, self.seconds = began, 0, None
        if is_camera:
            self._capture = cv2.VideoCapture(int(name))
        else:
            patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, PATIENCE_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, PATIENCE_MS]
            self._capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, patience)
        if not self._capture.isOpened():
            what, remedy = ("camera", "its number") if is_camera else ("stream", "the address and the server")
            raise DataError(f"expected a {what} at {name}, received none that can be opened; check {remedy}")
        rate, frames = (self._capture.get(key) for key in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        self.header_rate = rate if RATES[0] <= rate <= RATES[1] else None
        self.header_frames = int(frames) if 0 < frames < 1e9 else 0

    def frames(self):
        while True:
            there, image = self._capture.read()
            if not there:
                return
            self.grabbed, self.seconds = self.grabbed + 1, time.monotonic() - self._began
            yield self.seconds, image

    def close(self):
        self._capture.release()
