"""Progress reports, told by a clock that the test moves."""

import io

import pytest
from rich.console import Console

from videorep.progress import (
    Pace,
    PlainProgress,
    SilentProgress,
    TerminalProgress,
    format_rate,
    format_seconds,
    make_progress,
)


class FakeClock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return FakeClock()


def test_pace_gives_rate_and_time_left(clock):
    pace = Pace(total=100, clock=clock)
    assert pace.rate == 0.0 and pace.seconds_left is None
    for _ in range(10):
        clock.now += 1.0
        pace.advance(2)
    assert pace.rate == pytest.approx(2.0)
    assert pace.seconds_left == pytest.approx(40.0)


def test_pace_forgets_a_slow_start(clock):
    pace = Pace(total=10_000, clock=clock)
    clock.now += 300.0  # compiling
    pace.advance(1)
    for _ in range(120):
        clock.now += 1.0
        pace.advance(10)
    assert pace.rate == pytest.approx(10.0)
    assert pace.mean_rate == pytest.approx(1201 / 420)


def test_pace_falls_while_nothing_happens(clock):
    pace = Pace(total=100, clock=clock)
    clock.now += 10.0
    pace.advance(10)
    clock.now += 10.0
    assert pace.rate == pytest.approx(0.5)


def test_pace_does_not_count_an_earlier_process(clock):
    pace = Pace(total=100, clock=clock, done=50)
    clock.now += 10.0
    pace.advance(10)
    assert pace.done == 60
    assert pace.rate == pace.mean_rate == pytest.approx(1.0)
    assert pace.seconds_left == pytest.approx(40.0)


def test_pace_remembers_little(clock):
    pace = Pace(clock=clock)
    for _ in range(100_000):
        clock.now += 0.01
        pace.advance()
    assert len(pace._marks) < 200
    assert pace.rate == pytest.approx(100.0, rel=1e-3)


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
        (90000, "25 h 00 min"),
    ],
)
def test_format_seconds(seconds, words):
    assert format_seconds(seconds) == words


@pytest.mark.parametrize(
    "rate, words",
    [(0.02, "1.2 videos/min"), (0.5, "0.5 videos/s"), (12.34, "12.3 videos/s"), (54321.0, "54,321 videos/s")],
)
def test_format_rate(rate, words):
    assert format_rate(rate, "videos") == words


def test_plain_lines_first_every_ten_seconds_and_last(clock):
    stream = io.StringIO()
    with PlainProgress(stream, clock=clock).task("Building shards", total=50, unit="videos") as advance:
        for index in range(50):
            clock.now += 0.5
            advance(1, note=f"v{index}.avi")
    assert stream.getvalue().splitlines() == [
        "Building shards: 50 videos",
        "Building shards: 20 of 50 videos, 2 videos/s, 15 s left, v19.avi",
        "Building shards: 40 of 50 videos, 2 videos/s, 5 s left, v39.avi",
        "Building shards: 50 videos done in 25 s, 2 videos/s",
    ]


def test_plain_lines_without_a_total(clock):
    stream = io.StringIO()
    with PlainProgress(stream, clock=clock).task("Reading") as advance:
        clock.now += 11.0
        advance(22)
    assert stream.getvalue().splitlines() == [
        "Reading: started",
        "Reading: 22 items, 2 items/s",
        "Reading: 22 items done in 11 s, 2 items/s",
    ]


def test_plain_lines_of_a_resumed_task(clock):
    stream = io.StringIO()
    with PlainProgress(stream, clock=clock).task("Training", total=1000, unit="steps", done=400) as advance:
        clock.now += 10.0
        advance(100)
        clock.now += 10.0
        advance(500)
    assert stream.getvalue().splitlines() == [
        "Training: 1,000 steps, 400 of them done before",
        "Training: 500 of 1,000 steps, 10 steps/s, 50 s left",
        "Training: 1,000 steps done in 20 s, 30 steps/s",
    ]


def test_plain_lines_of_a_task_that_fails(clock):
    stream = io.StringIO()
    reporter = PlainProgress(stream, clock=clock)
    with pytest.raises(KeyboardInterrupt), reporter.task("Training", total=9, unit="steps") as advance:
        clock.now += 4.0
        advance(3)
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines()[-1] == "Training: 3 of 9 steps, stopped after 4 s"


def test_terminal_shows_titles_counts_and_notes_as_they_are():
    stream = io.StringIO()
    reporter = TerminalProgress(Console(file=stream, force_terminal=True, width=120))
    with reporter.task("Building [shards]", total=3, unit="videos") as advance:
        advance(2, note="[odd] name.avi")
        with reporter.task("Hashing", total=1) as advance_inner:
            advance_inner()
        advance()
    shown = stream.getvalue()
    assert "Building [shards]" in shown and "3/3" in shown and "Hashing" in shown


def test_terminal_ends_its_display_when_work_fails():
    stream = io.StringIO()
    reporter = TerminalProgress(Console(file=stream, force_terminal=True))
    with pytest.raises(ValueError), reporter.task("First", total=3):
        raise ValueError
    with reporter.task("Second", total=1) as advance:
        advance()
    assert stream.getvalue().rstrip().endswith("\x1b[?25h"), "the cursor is back"


def test_make_progress_looks_at_the_stream():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    assert isinstance(make_progress(io.StringIO()), PlainProgress)
    assert isinstance(make_progress(Terminal()), TerminalProgress)


def test_silent_progress_takes_the_same_calls(capfd):
    with SilentProgress().task("Building shards", 3, unit="videos") as advance:
        advance()
        advance(2, note="a.avi")
    assert capfd.readouterr() == ("", "")
