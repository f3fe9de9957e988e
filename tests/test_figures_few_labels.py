"""The few-label curve."""

import pytest
from PIL import Image

from videorep.errors import ConfigError
from videorep.figures.few_labels import draw_few_label_curve


def test_lines_with_and_without_repeats(tmp_path):
    results = {"random": {1: [0.2, 0.3, 0.25], 4: [0.5], 10: []}, "pretrained": {1: [0.35, 0.4], 4: [0.55, 0.5]}}
    draw_few_label_curve(tmp_path / "curve.png", results, chance=0.1)
    assert Image.open(tmp_path / "curve.png").size == (640, 440)


@pytest.mark.parametrize(
    ("results", "message"), [({}, "accuracy"), ({"a": {1: []}}, "accuracy"), ({"a": {1: [55]}}, "in")]
)
def test_accuracies_are_shares(tmp_path, results, message):
    with pytest.raises(ConfigError, match=message):
        draw_few_label_curve(tmp_path / "curve.png", results)
    assert list(tmp_path.iterdir()) == []
