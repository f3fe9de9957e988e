"""Watches a source: probabilities after every frame, changes of class, frames with bars drawn on them."""

import collections
import contextlib
import json
import time

import cv2
import numpy as np

from videorep.errors import OutputError

REMEMBERED = 10_000  # frames whose times the summary is of, the last ones
STAGES = ("decode", "backbone", "step", "draw")
BARS = 5  # classes drawn on a frame
COLOUR, GROUND = (80, 200, 80), (0, 0, 0)


class Tally:
    """What was watched, for the end: frames, and the time per frame by stage."""

    def __init__(self):
        self._times = {stage: collections.deque(maxlen=REMEMBERED) for stage in STAGES}
        self._began, self.frames = time.perf_counter(), 0

    def add(self, seconds):
        """Counts a frame; `seconds` are those of each stage."""
        self.frames += 1
        for stage, spent in seconds.items():
            self._times[stage].append(spent)

    def summary(self, source):
        """dict: frames, skipped, frames per second, and median and 99th percentile of each stage in milliseconds."""
        elapsed = time.perf_counter() - self._began
        facts = {"frames": self.frames, "skipped": source.skipped, "frames_per_second": self.frames / elapsed}
        stages = {**self._times, "all": [sum(each) for each in zip(*self._times.values(), strict=False)]}
        return facts | {
            "time_per_frame": [
                {"stage": stage, "median_ms": median, "99th_percentile_ms": slow}
                for stage, times in stages.items()
                if times
                for median, slow in [np.percentile(times, (50, 99)) * 1000]
            ]
        }


def watch(source, live, tally, *, out=None, events=None, show=lambda seconds, probabilities: None):
    """Watches a source to its end.

    Args:
        source: `Source`.
        live: `LiveClassifier`.
        tally: `Tally`, which counts on whatever ends the watching.
        out: File (.mp4) for the frames with the most probable classes drawn on them, or None.
        events: File for one line of JSON per change of class, {"time": seconds, "class", "probability"}, or None.
        show: Called with every frame's time in seconds and the (K,) probabilities, None as long as there are none.
    Raises:
        OutputError: a file cannot be written.
    """
    with contextlib.ExitStack() as stack:
        film = stack.enter_context(contextlib.closing(Film(out, source.rate))) if out else None
        log = stack.enter_context(open(events, "w", encoding="utf-8")) if events else None
        shown, asked = None, time.perf_counter()
        for seconds, image in source.frames():
            decoded = time.perf_counter()
            probabilities = live.step(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            stepped = time.perf_counter()
            if probabilities is not None and log and probabilities.argmax() != shown:
                shown = probabilities.argmax()
                event = {"time": round(seconds, 3), "class": live.classes[shown]}
                log.write(json.dumps(event | {"probability": round(float(probabilities[shown]), 4)}) + "\n")
                log.flush()
            if film:
                film.write(image if probabilities is None else draw_bars(image, live.classes, probabilities))
            show(seconds, probabilities)
            drawn = time.perf_counter()
            tally.add({"decode": decoded - asked} | live.seconds | {"draw": drawn - stepped})
            asked = drawn


class Film:
    """An .mp4 of the size of its first frame.

    Args:
        path: The file.
        rate: Frames per second.
    """

    def __init__(self, path, rate):
        self._path, self._rate, self._writer = path, rate, None

    def write(self, image):
        """Adds a frame (H, W, 3) uint8 BGR; one of another size is scaled."""
        if self._writer is None:
            self._size = image.shape[1::-1]
            code = cv2.VideoWriter_fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._path), cv2.CAP_FFMPEG, code, self._rate, self._size)
            if not self._writer.isOpened():
                raise OutputError(
                    f"expected to write a video of {self._size[0]}x{self._size[1]} pixels to {self._path}, received no "
                    "encoder for it; check the disk, or leave --out out"
                )
        self._writer.write(image if image.shape[1::-1] == self._size else cv2.resize(image, self._size))

    def close(self):
        if self._writer is not None:
            self._writer.release()


def draw_bars(image, classes, probabilities):
    """A copy of a frame (H, W, 3) with a bar for each of the most probable classes at its top left."""
    image, scale = image.copy(), max(0.3, image.shape[0] / 600)
    line, width = round(28 * scale), image.shape[1] // 3
    for place, number in enumerate(probabilities.argsort()[::-1][:BARS]):
        top, share = place * line, probabilities[number]
        cv2.rectangle(image, (0, top), (width, top + line - 2), GROUND, cv2.FILLED)
        cv2.rectangle(image, (0, top), (round(width * share), top + line - 2), COLOUR, cv2.FILLED)
        text = f"{classes[number]} {share:.2f}".encode("ascii", "replace").decode()
        cv2.putText(image, text, (3, top + line - round(9 * scale)), cv2.FONT_HERSHEY_SIMPLEX, scale * 0.7, (255,) * 3)
    return image
