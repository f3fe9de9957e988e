"""What is read from shards to be drawn."""

import numpy as np
import pytest
from pictures import coloured_frame

from videorep.data import write_shards
from videorep.errors import ShardError
from videorep.figures.samples import sample_flow, sample_percepts


def test_percepts_are_the_stored_ones(tmp_path):
    random = np.random.default_rng(0)
    names = ["run", "jump", None] * 4
    records = [
        {"frames": random.normal(size=(3 + k, 5)).astype("float32"), "path": f"v{k}"} | ({"label": n} if n else {})
        for k, n in enumerate(names)
    ]
    write_shards(records, tmp_path / "shards")
    sample = sample_percepts(tmp_path / "shards")
    assert sample["names"] == ["jump", "run"] and sample["labels"].tolist() == [1, 0, -1] * 4
    np.testing.assert_allclose(sample["means"], [r["frames"].mean(axis=0) for r in records], rtol=1e-5, atol=1e-6)
    assert len(sample["arrays"]) == 6
    np.testing.assert_array_equal(sample["arrays"]["run: v0, 3 frames"], records[0]["frames"])


def test_flow_is_that_of_neighbouring_frames(tmp_path):
    texture = coloured_frame(120, 200)
    drifting = np.stack([texture[:, 2 * n : 2 * n + 160] for n in range(9)])  # two pixels to the left per frame
    write_shards([{"frames": drifting, "path": "a"}, {"frames": drifting[:1], "path": "b"}], tmp_path / "shards")
    clips = sample_flow(tmp_path / "shards")
    frames, fields = clips["a, 9 frames"]
    assert len(frames) == len(fields) == 6
    np.testing.assert_array_equal(frames[-1], drifting[7])
    for field in fields:
        np.testing.assert_allclose(np.median(field[20:-20, 20:-20], axis=(0, 1)), [-2, 0], atol=0.1)
    assert np.abs(clips["b, 1 frames"][1][0]).max() < 0.01


def test_percepts_have_no_flow(tmp_path):
    write_shards([{"frames": np.ones((3, 4), np.float32)}], tmp_path / "percepts")
    with pytest.raises(ShardError, match="flow"):
        sample_flow(tmp_path / "percepts")
