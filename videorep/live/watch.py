"""Watches a source: probabilities and surprise after every frame, events, frames with bars drawn on them."""

import collections
import contextlib
import json
import time

import cv2
import numpy as np

from videorep.errors import OutputError

REMEMBERED = 10_000  # frames whose times the summary is of, the last ones
BARS = 5  # classes drawn on a frame
COLOUR, ALARM, GROUND, WHITE = (80, 200, 80), (60, 60, 230), (0, 0, 0), (255, 255, 255)
THRESHOLD = 3.0  # above which a surprise is an event


class Tally:
    """What was watched, for the end: frames, and the seconds that each stage took of every frame."""

    def __init__(self):
        self._times, self._began, self.frames = collections.deque(maxlen=REMEMBERED), 0.0, 0

    def add(self, seconds):
        """Counts a frame; `seconds` are {stage: seconds}."""
        self._times.append(seconds | {"all": sum(seconds.values())})
        self._began = self._began or time.perf_counter()  # the first frame waits for TensorFlow's graphs
        self.frames += 1

    def summary(self, skipped):
        """dict: frames, skipped, frames per second, and median and 99th percentile of each stage in milliseconds."""
        rows = []
        for stage in self._times[0] if self._times else ():
            median, slow = np.percentile([seconds[stage] for seconds in self._times], (50, 99)) * 1000
            rows.append({"stage": stage, "median_ms": median, "99th_percentile_ms": slow})
        rate = max(0, self.frames - 1) / (time.perf_counter() - self._began)
        return {"frames": self.frames, "skipped": skipped, "frames_per_second": rate, "time_per_frame": rows}


class EventLog:
    """Writes a line of JSON for every change of class, and for every surprise that rises above a threshold.

    A surprise must fall below half the threshold before the next one is an event. Without a file nothing is written.
    """

    def __init__(self, file, classes, threshold=THRESHOLD):
        self._file, self._classes, self._threshold = file, classes, threshold
        self._shown, self._above = None, False

    def note(self, seconds, probabilities, surprise):
        """Takes what was made of a frame: (K,) probabilities or None, and a float or None."""
        if probabilities is not None and probabilities.argmax() != self._shown:
            self._shown = probabilities.argmax()
            event = {"class": self._classes[self._shown], "probability": round(float(probabilities[self._shown]), 4)}
            self._write(seconds, event)
        if surprise is not None:
            above = surprise > (self._threshold / 2 if self._above else self._threshold)
            if above and not self._above:
                self._write(seconds, {"surprise": round(float(surprise), 4)})
            self._above = above

    def _write(self, seconds, event):
        if self._file:
            self._file.write(json.dumps({"time": round(seconds, 3)} | event) + "\n")
            self._file.flush()


def watch(source, live, tally, *, out=None, events=None, threshold=THRESHOLD, show=lambda *moment: None):
    """Watches a `Source` to its end with `LiveRuns`; the `Tally` has counted, whatever ends the watching.

    Args:
        out: File (.mp4) for the frames with the most probable classes and the surprise drawn on them, or None.
        events: File for lines of JSON, or None: {"time": seconds, "class", "probability"} for every change of class,
            {"time", "surprise"} for every surprise that rises above the threshold, see `EventLog`.
        show: Called with every frame's time in seconds, the (K,) probabilities and the surprise, each of which is None
            as long as there is none.
    Raises:
        OutputError: a file cannot be written.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(events, "w", encoding="utf-8")) if events else None
        log, film, asked = EventLog(file, live.classes, threshold), None, time.perf_counter()
        for seconds, image in source.frames():
            decoded = time.perf_counter()
            probabilities, surprise = live.step(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            stepped = time.perf_counter()
            log.note(seconds, probabilities, surprise)
            if out:
                if film is None:
                    size, film = image.shape[1::-1], open_film(out, source.rate, image.shape[1::-1])
                    stack.callback(film.release)
                drawn = draw_bars(image, live.classes, probabilities, surprise, threshold)
                film.write(cv2.resize(drawn, size))  # a stream may come back with another size
            show(seconds, probabilities, surprise)
            done = time.perf_counter()
            tally.add({"decode": decoded - asked} | live.seconds | {"draw": done - stepped})
            asked = done


def open_film(path, rate, size):
    """A `cv2.VideoWriter` of MPEG-4 frames of (width, height) `size`; an OutputError where there is none."""
    film = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
    if not film.isOpened():
        raise OutputError(
            f"expected to write a video of {size[0]}x{size[1]} pixels to {path}, received no encoder for it; check the "
            "disk, or leave --out out"
        )
    return film


def draw_bars(image, classes, probabilities, surprise=None, threshold=THRESHOLD):
    """A copy of a frame (H, W, 3) with bars at its top left: of the most probable classes, and of the surprise.

    The latter is full at twice the threshold, and red from the threshold on. What is None is not drawn.
    """
    image, scale = image.copy(), max(0.3, image.shape[0] / 600)
    line, width = round(28 * scale), image.shape[1] // 3
    best = [] if probabilities is None else probabilities.argsort()[::-1][:BARS]
    bars = [(classes[number], probabilities[number], probabilities[number], COLOUR) for number in best]
    if surprise is not None:
        share = min(max(surprise / (2 * threshold), 0), 1)
        bars.append(("surprise", surprise, share, ALARM if surprise > threshold else COLOUR))
    for place, (name, value, share, own) in enumerate(bars):
        top = place * line
        for colour, part in ((GROUND, 1.0), (own, share)):
            cv2.rectangle(image, (0, top), (round(width * part), top + line - 2), colour, cv2.FILLED)
        text = f"{name} {value:.2f}".encode("ascii", "replace").decode()
        cv2.putText(image, text, (3, top + line - round(9 * scale)), cv2.FONT_HERSHEY_SIMPLEX, scale * 0.7, WHITE)
    return image
