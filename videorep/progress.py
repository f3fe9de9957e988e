"""How long work tells how far it is: a bar on a terminal, plain lines elsewhere, silence by default.

with reporter.task("Building shards", total=117, unit="videos") as advance:
    for video in videos:
        advance(1, note=video.name)
"""

import collections
import contextlib
import sys
import time

WINDOW_SECONDS = 60.0
MARK_SECONDS = 0.5
LINE_SECONDS = 10.0
COMMANDS_OF_TERMINALS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def visible(line):
    """A line that may hold names out of strangers' files, with escapes for what would command the terminal."""
    return line.translate(COMMANDS_OF_TERMINALS)


class Pace:
    """Rate and time left of one task, from its last minute, so that a slow start is forgotten.

    `total` is None where nobody knows; what was `done` before this process began counts as done, not towards the rate.
    """

    def __init__(self, total=None, clock=time.monotonic, done=0):
        self.total, self.done = total, done
        self._clock = clock
        self._begun_with = done
        self._begun_at = clock()
        self._marks = collections.deque([(self._begun_at, done)])

    def advance(self, count=1):
        """Counts `count` more units as done."""
        now = self._clock()
        self.done += count
        if now - self._marks[-1][0] >= MARK_SECONDS:
            self._marks.append((now, self.done))
        while len(self._marks) > 1 and now - self._marks[1][0] >= WINDOW_SECONDS:
            self._marks.popleft()

    @property
    def elapsed(self):
        """Seconds since the task began."""
        return self._clock() - self._begun_at

    @property
    def rate(self):
        """Units per second over the last minute; 0.0 before the first unit."""
        since, done = self._marks[0]
        seconds = self._clock() - since
        return (self.done - done) / seconds if seconds > 0 else 0.0

    @property
    def mean_rate(self):
        """Units per second over the whole task."""
        return (self.done - self._begun_with) / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def seconds_left(self):
        """Seconds until the total is reached at the present rate, or None where that is unknown."""
        if self.total is None or self.rate <= 0:
            return None
        return max(0, self.total - self.done) / self.rate


def format_seconds(seconds):
    """Seconds as people say them: 8 s, 3 min 05 s, 2 h 07 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def format_rate(rate, unit):
    """A rate with about three digits, per second, or per minute where it is slow."""
    if 0 < rate < 0.1:
        return f"{rate * 60:.2g} {unit}/min"
    return f"{rate:,.0f} {unit}/s" if rate >= 100 else f"{rate:.3g} {unit}/s"


def describe_pace(pace, unit):
    """The words behind the count: rate and time left, or nothing before the first unit."""
    if pace.rate <= 0:
        return ""
    left = pace.seconds_left
    return format_rate(pace.rate, unit) + ("" if left is None else f", {format_seconds(left)} left")


class SilentProgress:
    """Reports nothing; what library callers get who pass no reporter."""

    @contextlib.contextmanager
    def task(self, title, total=None, unit="items", done=0):
        """A task whose `advance(count=1, note="")` does nothing."""
        yield lambda count=1, note="": None


class PlainProgress:
    """One line when a task begins, one about every ten seconds (`every`), one when it ends: for log files.

    They go to standard error by default, so that results stay alone on standard output.
    """

    def __init__(self, stream=None, every=LINE_SECONDS, clock=time.monotonic):
        self._stream = sys.stderr if stream is None else stream
        self._every = every
        self._clock = clock

    @contextlib.contextmanager
    def task(self, title, total=None, unit="items", done=0):
        """Reports one task; yields `advance(count=1, note="")`."""
        pace = Pace(total, self._clock, done)
        size = "" if total is None else f"{total:,} {unit}" + (f", {done:,} of them done before" if done else "")
        self._write(f"{title}: {size or 'started'}")
        written_at = self._clock()

        def advance(count=1, note=""):
            nonlocal written_at
            pace.advance(count)
            if self._clock() - written_at >= self._every and pace.done != total:
                self._write(", ".join(filter(None, [self._count(title, pace, unit), describe_pace(pace, unit), note])))
                written_at = self._clock()

        try:
            yield advance
        except BaseException:
            self._write(f"{self._count(title, pace, unit)}, stopped after {format_seconds(pace.elapsed)}")
            raise
        rate = f", {format_rate(pace.mean_rate, unit)}" if pace.mean_rate > 0 else ""
        self._write(f"{title}: {pace.done:,} {unit} done in {format_seconds(pace.elapsed)}{rate}")

    @staticmethod
    def _count(title, pace, unit):
        of_total = "" if pace.total is None else f" of {pace.total:,}"
        return f"{title}: {pace.done:,}{of_total} {unit}"

    def _write(self, line):
        self._stream.write(visible(line) + "\n")
        self._stream.flush()


class TerminalProgress:
    """A bar per task with count, rate, time left and the latest note, drawn by rich, on standard error by default."""

    def __init__(self, console=None):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=Console(stderr=True) if console is None else console,
        )
        self._open_tasks = 0

    @contextlib.contextmanager
    def task(self, title, total=None, unit="items", done=0):
        """Shows one task, and one within it for as long as it lasts; yields `advance(count=1, note="")`."""
        pace = Pace(total, done=done)
        bar = self._bars.add_task(title, total=total, completed=done, pace=unit, note="")

        def advance(count=1, note=""):
            pace.advance(count)
            self._bars.update(bar, completed=pace.done, pace=describe_pace(pace, unit) or unit, note=visible(note))

        if self._open_tasks == 0:
            self._bars.start()
        self._open_tasks += 1
        try:
            yield advance
            rate = format_rate(pace.mean_rate, unit) if pace.mean_rate > 0 else unit
            self._bars.update(bar, pace=f"{rate}, {format_seconds(pace.elapsed)}", note="")
        finally:
            self._open_tasks -= 1
            if self._open_tasks == 0:
                self._bars.stop()
            self._bars.remove_task(bar)


Reporter = SilentProgress | PlainProgress | TerminalProgress


def make_progress(stream=None):
    """The reporter that fits `stream` (standard error by default): bars on a terminal, plain lines elsewhere."""
    stream = sys.stderr if stream is None else stream
    if stream.isatty():
        from rich.console import Console

        return TerminalProgress(Console(file=stream))
    return PlainProgress(stream)
