"""Watches a source: probabilities after every frame, changes of class, frames with bars drawn on them."""

import collections
import contextlib
import json
import time

import cv2
import numpy as np

from videorep.errors import OutputError

REMEMBERED = 10_000  # frames whose times the summary is of, the last ones
BARS = 5  # classes drawn on a frame
COLOUR, GROUND, WHITE = (80, 200, 80), (0, 0, 0), (255, 255, 255)


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


def watch(source, live, tally, *, out=None, events=None, show=lambda seconds, probabilities: None):
    """Watches a source to its end.

    Args:
        source: `Source`.
        live: `LiveClassifier`.
        tally: `Tally`, which has counted, whatever ends the watching.
        out: File (.mp4) for the frames with the most probable classes drawn on them, or None.
        events: File for one line of JSON per change of class, {"time": seconds, "class", "probability"}, or None.
        show: Called with every frame's time in seconds and the (K,) probabilities, None as long as there are none.
    Raises:
        OutputError: a file cannot be written.
    """
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open(events, "w", encoding="utf-8")) if events else None
        film, shown, asked = None, None, time.perf_counter()
        for seconds, image in source.frames():
            decoded = time.perf_counter()
            probabilities = live.step(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            stepped = time.perf_counter()
            if probabilities is not None and log and probabilities.argmax() != shown:
                shown = probabilities.argmax()
                event = {"time": round(seconds, 3), "class": live.classes[shown]}
                log.write(json.dumps(event | {"probability": round(float(probabilities[shown]), 4)}) + "\n")
                log.flush()
            if out:
                if film is None:
                    size, film = image.shape[1::-1], open_film(out, source.rate, image.shape[1::-1])
                    stack.callback(film.release)
                drawn = image if probabilities is None else draw_bars(image, live.classes, probabilities)
                film.write(cv2.resize(drawn, size))  # a stream may come back with another size
            show(seconds, probabilities)
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


def draw_bars(image, classes, probabilities):
    """A copy of a frame (H, W, 3) with a bar for each of the most probable classes at its top left."""
    image, scale = image.copy(), max(0.3, image.shape[0] / 600)
    line, width = round(28 * scale), image.shape[1] // 3
    for place, number in enumerate(probabilities.argsort()[::-1][:BARS]):
        top, share = place * line, probabilities[number]
        for colour, part in ((GROUND, 1.0), (COLOUR, share)):
            cv2.rectangle(image, (0, top), (round(width * part), top + line - 2), colour, cv2.FILLED)
        text = f"{classes[number]} {share:.2f}".encode("ascii", "replace").decode()
        cv2.putText(image, text, (3, top + line - round(9 * scale)), cv2.FONT_HERSHEY_SIMPLEX, scale * 0.7, WHITE)
    return image
