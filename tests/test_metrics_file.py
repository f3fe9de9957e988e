"""Lines of metrics.jsonl: what is sound is read, whatever else lies in the file."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videorep.errors import RunError
from videorep.metrics_file import describe_rise, read_reports, to_line

GARBAGE = {
    "no JSON": b"}{",
    "an empty line": b"",
    "not UTF-8": b'{"step": 2, "loss\xff": 1}',
    "UTF-16": '{"step": 2}'.encode("utf-16"),
    "no object": b"[1, 2]",
    "a number": b"7",
    "without a step": b'{"loss": 1.0}',
    "a step that is text": b'{"step": "2"}',
    "a step that is true": b'{"step": true}',
    "a step below 0": b'{"step": -1}',
    "a step between two": b'{"step": 1.5}',
    "a step of 400 digits": b'{"step": 1' + b"0" * 400 + b"}",
    "a step of 6,000 digits": b'{"step": 1' + b"0" * 6000 + b"}",
    "nested deeply": b"[" * 100_000,
}


@pytest.mark.parametrize("line", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_report_is_passed_over(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "loss": 3.0}\n' + line + b'\n{"step": 3, "loss": 2.0}\n')
    assert read_reports(path) == [{"step": 1, "loss": 3.0}, {"step": 3, "loss": 2.0}]


@given(st.binary(max_size=200))
def test_no_bytes_stop_a_reader(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(content)
    for report in read_reports(path):
        assert report["step"] >= 0


def test_a_line_that_is_being_written_is_no_report(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_reports(path) == []
    path.write_text('{"step": 1}\n{"step": 2}')
    assert read_reports(path) == [{"step": 1}]


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_regular_file_is_refused_rather_than_waited_for(tmp_path, kind):
    path = tmp_path / "metrics.jsonl"
    {"fifo": os.mkfifo, "folder": os.mkdir, "device": lambda each: each.symlink_to("/dev/zero")}[kind](path)
    with pytest.raises(RunError, match=r"expected the reports of a run in .*metrics\.jsonl, received: .*; restore"):
        read_reports(path)


def test_figures_that_are_no_numbers_are_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "a": NaN, "b": Infinity, "c": 1e400, "d": 1e300, "e": null, "f": "x", "g": 2}\n')
    assert read_reports(path) == [{"step": 1, "g": 2}]


def test_lines_are_strict_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(to_line({"step": 1, "loss": 0.1, "validation_loss": float("nan")}))

    def refuse(constant):
        raise AssertionError(constant)

    assert json.loads(path.read_text(), parse_constant=refuse) == {"step": 1, "loss": 0.1, "validation_loss": None}
    assert read_reports(path) == [{"step": 1, "loss": 0.1}]


def test_a_loss_that_rose_is_told():
    rising = [{"step": 5.0, "loss": 2.0}, {"step": 7}, {"step": 10, "loss": 1.5}, {"step": 15.0, "loss": 2.5}]
    assert describe_rise(rising).startswith("the loss rose from 2 by step 5 to 2.5 by step 15")
    for reports in (rising[:3], rising[:1], [], [{"step": 5, "loss": 2.0}, {"step": 10, "loss": 2.0}]):
        assert describe_rise(reports) == ""
