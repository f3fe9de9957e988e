"""The text of docs/python.md runs as it is printed."""

import re
import textwrap
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_example_of_keras_own_loop_runs():
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    section = text.split("## Keras' own loop")[1].split("\n## ")[0]
    (code,) = re.findall(r"(?:^    .*\n|^\n)+", section.split("mixed_bfloat16).")[1], flags=re.M)[:1]
    names = {}
    exec(compile(textwrap.dedent(code), "docs/python.md", "exec"), names)
    assert names["model"].history.history["loss"][0] > 0
