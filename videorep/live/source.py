"""Where frames are watched: a file, a camera or a stream over the network, opened again where it breaks off.

OpenCV decodes in this process, not in a worker as builds do: it is the user's own camera.
"""

import time

import cv2

from videorep.data.videos.decode import USUAL_RATE, VideoError, VideoReader, frame_step
from videorep.data.videos.encode import missing_frames
from videorep.data.videos.find import inspect_file
from videorep.errors import DataError

PATIENCE_MS = 5_000  # that opening a stream, and waiting for its next frame, may take
PAUSES = (0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8)  # seconds before each try to open a stream again


class Source:
    """The frames of a file, a camera (its number) or a URL (RTSP, HTTP, ...), or every N-th of them.

    Without `every` about `fps` per second are taken, or all. `tell` is told in a sentence what happens to a stream.

    Attributes:
        rate: Frames per second that are taken, as far as the source tells; `skipped` counts those passed over.
    Raises:
        DataError, VideoError: it cannot be opened, or a stream does not come back.
    """

    def __init__(self, name, every=None, fps=None, tell=lambda sentence: None):
        self._name, self._tell, self._began, self.skipped = str(name), tell, time.monotonic(), 0
        self._is_url = "://" in self._name
        self._open()
        own = self._reader.header_rate or USUAL_RATE
        self.every = every or frame_step(own, fps)
        self.rate = own / self.every

    def close(self):
        self._reader.close()

    def frames(self):
        """Yields (seconds, (H, W, 3) uint8 BGR): time in a file, or since a camera or stream was opened."""
        number = 0
        while True:
            for moment in self._reader.frames():
                if number % self.every:
                    self.skipped += 1
                else:
                    yield moment
                number += 1
            if not self._is_url or self._reader.header_frames:
                break
            self._reopen()
        if self._reader.header_frames and (missing := missing_frames(self._reader)):
            self._tell(f"{self._name} is damaged or was cut: {missing[0]}")

    def _open(self):
        if self._is_url or self._name.isdecimal():
            self._reader = _LiveReader(self._name, self._began)
        elif problem := inspect_file(self._name, self._name).problem:
            raise VideoError(self._name, problem)
        else:
            self._reader = VideoReader(self._name)

    def _reopen(self):
        """Opens a stream that broke off again; tells how long it was gone."""
        self.close()
        lost = time.monotonic()
        self._tell(f"{self._name} broke off; trying to open it again")
        for pause in PAUSES:
            time.sleep(pause)
            try:
                self._open()
            except DataError:
                continue
            self._tell(f"{self._name} is back after {time.monotonic() - lost:.1f} s without frames")
            return
        raise DataError(
            f"expected {self._name} to go on, received nothing in {time.monotonic() - lost:.0f} s and "
            f"{len(PAUSES)} tries; check the server, then watch again"
        )


class _LiveReader(VideoReader):
    """A camera or a stream: the time of a frame is when it came."""

    def __init__(self, name, began):
        self._began = began
        super().__init__(name)

    def _open(self):
        patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, PATIENCE_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, PATIENCE_MS]
        number = int(self.path) if self.path.isdecimal() else None
        opened = (self.path, cv2.CAP_FFMPEG, patience) if number is None else (number,)
        self._capture, self.grabbed, self.seconds = cv2.VideoCapture(*opened), 0, 0.0
        if not self._capture.isOpened():
            what, remedy = ("stream", "address and server") if number is None else ("camera", "its number")
            raise DataError(f"expected a {what} at {self.path}, received none that can be opened; check {remedy}")

    def grab(self):
        there = self._capture.grab()
        self.seconds, self.grabbed = time.monotonic() - self._began, self.grabbed + there
        return there
