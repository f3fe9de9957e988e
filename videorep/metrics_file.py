"""The lines of metrics.jsonl: one JSON object per report, read whatever else lies in the file."""

import json

from videorep.errors import RunError
from videorep.storage import read_file

STEP = "step"
LARGEST = 3.4028234663852886e38  # of float32, in which figures are summed; it leaves room for the sums of a picture


def read_reports(path):
    """The sound lines of a run's metrics.jsonl: [{name: number}], in the order of the file. See `read_lines`."""
    return [report for report in read_lines(path) if report]


def read_lines(path):
    """The lines of a run's metrics.jsonl, which may be missing, but for one that is still being written.

    Returns:
        [{name: number}], {} for a line that is no JSON, no object or has no step; what is no finite number is left out.
    Raises:
        RunError: it is no regular file, or cannot be read.
    """
    try:
        return [parse_line(line) for line in read_file(path).split(b"\n")[:-1]]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(
            f"expected the reports of a run in {path}, received: {error.strerror}; restore the file, or remove it"
        ) from error


def to_line(report):
    """A report as one line of strict JSON, in which what is no finite number is null."""
    return json.dumps({name: value if _is_figure(value) else None for name, value in report.items()}) + "\n"


def describe_rise(reports):
    """The sentence of a warning where the last reported loss is above the first; "" where it is not."""
    losses = [(report["loss"], report[STEP]) for report in reports if "loss" in report]
    if len(losses) < 2 or losses[-1][0] <= losses[0][0]:
        return ""
    (first, begun), (last, ended) = losses[0], losses[-1]
    return (
        f"the loss rose from {first:.5g} by step {begun:.0f} to {last:.5g} by step {ended:.0f}, so its "
        f"figures mean little; lower --learning-rate or give more --steps"
    )


def parse_line(line):
    """The report that a line (bytes) holds; {} where it holds none."""
    try:
        values = json.loads(line.decode())
    except (ValueError, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    report = {name: value for name, value in values.items() if _is_figure(value)}
    step = report.get(STEP)
    return report if step is not None and step >= 0 and step == int(step) else {}


def _is_figure(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
