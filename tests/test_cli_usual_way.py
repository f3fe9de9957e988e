"""What `videorep --help` prints as the usual way works as it is printed, line after line."""

import re
import shlex

import cv2
import keras
import numpy as np
import pytest
from click.testing import CliRunner

from videorep.cli.main import videorep_command

# What makes the commands small and keeps them from the network; the words that are printed stay.
SMALL = {
    "percepts": ["--backbone", "tiny.keras"],
    "pretrain": ["--units", "3", "--steps", "1", "--batch-size", "2"],
    "finetune": ["--steps", "1", "--batch-size", "2"],
}


@pytest.fixture
def videos(tmp_path, monkeypatch):
    """The folder VIDEOS, two classes of five, in a place of its own; a small convnet beside it."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for number in range(10):
        path = tmp_path / "VIDEOS" / "ab"[number % 2] / f"{number}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (32, 32))
        for _ in range(22):
            writer.write(generator.integers(0, 256, (32, 32, 3), np.uint8))
        writer.release()
    images = keras.Input((16, 16, 3))
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(images)).save(tmp_path / "tiny.keras")


def printed_lines():
    text = CliRunner().invoke(videorep_command, ["--help"]).output
    way = text[text.index("The usual way:") :].split("\n\n")[0]
    return re.findall(r"^ +videorep (.+)$", way, re.MULTILINE)


def test_the_usual_way_runs_as_printed(videos):
    lines = printed_lines()
    assert [line.split()[0] for line in lines] == ["build-shards"] * 2 + ["pretrain", "finetune", "evaluate", "export"]
    for line in lines:
        words = shlex.split(line)
        small = next((SMALL[word] for word in words[:2] if word in SMALL), [])
        result = CliRunner().invoke(videorep_command, [*words, *small], catch_exceptions=False)
        assert result.exit_code == 0, result.output
