"""Streams of the same videos: each is measured, and their mixture is that of the probabilities by hand."""

import json
import shutil

import numpy as np
import pytest
from test_comparison import SMALL, make_records

from videorep.comparison import compare
from videorep.comparison.streams import fuse
from videorep.comparison_config import CompareConfig
from videorep.data import write_shards
from videorep.errors import RunError


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """Two folders of the same videos; the second one's frames are noise."""
    folder, generator = tmp_path_factory.mktemp("streams"), np.random.default_rng(0)
    sides = {"train": make_records(generator, (1, 2, 3, 4)), "test": make_records(generator, (8, 9))}
    write_shards(sides, folder / "rgb")
    noise = {
        side: [each | {"frames": generator.normal(size=each["frames"].shape).astype(np.float32)} for each in records]
        for side, records in sides.items()
    }
    write_shards(noise, folder / "flow")
    return str(folder / "rgb"), str(folder / "flow")


def test_every_stream_and_their_mixture_has_a_row(streams, tmp_path):
    rgb, flow = streams
    result = compare(CompareConfig(rgb, (flow,), **SMALL), tmp_path / "out")
    kinds = ("mean-pooled", "mean-pooled halves", "single-frame", "random weights")
    names = {row["contender"] for row in result["results"]}
    assert names == {"majority", *kinds, *(f"{kind}, {own}" for kind in kinds for own in ("flow", "fused"))}
    rows = {row["contender"]: row for row in result["results"] if not row["videos_per_class"]}
    first, second = rows["mean-pooled, fused"]["settings"]["weights"]
    assert first > second and first + second == pytest.approx(1, abs=1e-3)
    assert rows["mean-pooled"]["mean"] == rows["mean-pooled, fused"]["mean"] == 1.0
    pairs = {(test["a"], test["b"]) for test in result["tests"]}
    assert ("single-frame, flow", "mean-pooled, flow") in pairs and ("mean-pooled, fused", "mean-pooled") in pairs
    alone = compare(CompareConfig(rgb, **SMALL), tmp_path / "alone")
    for row in alone["results"]:
        same = next(each for each in result["results"] if all(each[key] == row[key] for key in list(row)[:2]))
        assert same["accuracies"] == row["accuracies"]
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == json.loads(json.dumps(result))


def test_a_mixture_weighs_probabilities_by_what_was_held_out():
    generator = np.random.default_rng(0)
    labels = np.array([0, 1, 0, 1, 0])
    sure, guess = np.full((5, 2), 0.1), np.full((5, 2), 0.5)
    sure[np.arange(5), labels] = 0.9
    each = [
        {
            "probabilities": generator.dirichlet((1, 1), (3, 4)),
            "held_out": held_out,
            "seconds": {"choice": 1, "draw": 2},
        }
        for held_out in (sure, guess)
    ]
    fused = fuse(each, labels)
    np.testing.assert_allclose(fused["probabilities"], each[0]["probabilities"], atol=1e-6)
    assert fused["choice_accuracy"] == 1.0 and fused["seconds"] == {"choice": 2, "draw": 4}
    equal = fuse([one | {"held_out": np.zeros((0, 2))} for one in each], labels)
    np.testing.assert_allclose(equal["probabilities"], sum(one["probabilities"] for one in each) / 2)


def test_other_videos_are_refused(streams, tmp_path):
    rgb, _ = streams
    generator = np.random.default_rng(0)
    sides = {"train": make_records(generator, (1, 2, 3, 5)), "test": make_records(generator, (8, 9))}
    write_shards(sides, tmp_path / "flow")
    with pytest.raises(RunError, match=r"to hold the videos of .*rgb, received others \(they differ in paths\)"):
        compare(CompareConfig(rgb, (str(tmp_path / "flow"),), **SMALL), tmp_path / "out")
    with pytest.raises(RunError, match="which one is that folder, or two are one"):
        compare(CompareConfig(rgb, (rgb,), **SMALL), tmp_path / "out")
    (tmp_path / "other").mkdir()
    shutil.copytree(tmp_path / "flow", tmp_path / "other" / "flow")
    with pytest.raises(RunError, match="expected folders of different names to fuse"):
        compare(CompareConfig(rgb, (str(tmp_path / "flow"), str(tmp_path / "other/flow")), **SMALL), tmp_path / "out")
    assert not (tmp_path / "out").exists()
