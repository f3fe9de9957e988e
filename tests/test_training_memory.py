"""Reports and checkpoints, of which a long run makes many thousands, leave nothing in memory."""

import contextlib
import resource
from pathlib import Path

import tensorflow as tf

from videorep.metrics_file import read_reports
from videorep.training.callbacks import EventLog, MetricsLog
from videorep.training.checkpoints import Checkpoints, Position

PAGES = Path("/proc/self/statm")


def resident_bytes():
    return int(PAGES.read_text().split()[1]) * resource.getpagesize()


def growth(work, first, last):
    """Bytes by which memory grows between a first and a last turn."""
    for number in range(first):
        work(number)
    before = resident_bytes()
    for number in range(first, last):
        work(number)
    return resident_bytes() - before


def report(number):
    return {"step": number, "seconds": number / 7} | {f"part {k}": number + k / 8 for k in range(6)}


def test_a_report_leaves_no_tensor_of_each_of_its_figures(tmp_path):
    """TensorFlow would keep 0.7 KB for each Python number: 10 MiB of these."""
    with contextlib.closing(EventLog(tmp_path, 0)) as events:
        assert growth(lambda number: events.on_epoch_end(number, report(number)), 200, 2200) < 4 << 20


def test_the_first_and_the_last_report_are_kept_in_memory_and_all_in_the_file(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for number in range(1, 50):
        log.on_epoch_end(number, report(number))
    assert log.reports == [report(1), report(49)]
    assert read_reports(tmp_path / "metrics.jsonl") == [report(number) for number in range(1, 50)]
    resumed = MetricsLog(tmp_path / "metrics.jsonl")
    assert len(resumed.reports) == 49
    resumed.go_on_from(30)
    assert resumed.reports == [report(1), report(30)]


def test_a_checkpoint_leaves_no_tensor_of_its_step_and_its_seconds(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, [tf.Variable(1.0)], 10**6)
    given = []
    assign = type(checkpoints._step).assign
    monkeypatch.setattr(
        type(checkpoints._step), "assign", lambda self, value: given.append(value) or assign(self, value)
    )
    checkpoints.save(Position(3, 1.5))
    assert not [value for value in given if isinstance(value, (int, float))]
