"""Runs fused on shards that list videos and classes in other orders: accuracies computed by hand; what does not fit."""

import keras
import numpy as np
import pytest

from videorep.config import ClassifierConfig, DataConfig, FinetuneConfig, StreamConfig, StreamModelConfig
from videorep.data import write_shards
from videorep.data.batches.stacks import LabelledStacks
from videorep.data.shards.record_reader import RecordReader
from videorep.errors import DataError, RunError, ShardError
from videorep.evaluation import evaluate_action_recognition
from videorep.evaluation.arguments import tell_apart
from videorep.evaluation.fusing import mixture_weights
from videorep.models import build_classifier
from videorep.runs import create_run

CLASSES = ("a", "b", "c")
LABELS = {"0.avi": "a", "1.avi": "b", "2.avi": "c", "3.avi": "a"}
# A frame is its video's evidence for a, b and c; alone the first stream has 3 of 4 right, the second 2, together all.
FIRST = {"0.avi": (3, 0, 0), "1.avi": (0, 3, 0), "2.avi": (2, 0, 1.5), "3.avi": (3, 1, 0)}
SECOND = {"0.avi": (1, 1.1, 0), "1.avi": (1.1, 1, 0), "2.avi": (0, 0, 5), "3.avi": (3, 1, 0)}


def write(folder, evidence, classes=CLASSES, paths=None, labels=LABELS, listed=None, splits=("test",)):
    """Percepts whose features are the evidence for `classes`, in their order; the shards list classes as `listed`."""
    records = [
        {"frames": np.tile(np.float32([evidence[path]["abc".index(name)] for name in classes]), (3, 1))}
        | {"label": labels[path], "path": path}
        for path in paths or evidence
    ]
    write_shards(dict.fromkeys(splits, records), folder, labels=listed or classes)
    return str(folder)


def make_run(folder, shards, classes=CLASSES, backbone=None):
    """A classifier whose softmax takes every feature as the evidence for its class."""
    config = ClassifierConfig("single-frame", 3, (4,), tuple(classes))
    run = create_run(folder, FinetuneConfig(config, DataConfig(shards)))
    model = build_classifier(config, seed=0)
    model.layers[-1].set_weights([np.eye(3), np.zeros(3)])
    run.save_model(model)
    run.write_provenance({"data": {"backbone": backbone or {}}})
    return run


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fusing")
    turned = ("c", "a", "b")
    first = write(folder / "rgb", FIRST)
    second = write(folder / "flow", SECOND, turned, paths=["3.avi", "1.avi", "0.avi", "2.avi"])
    return make_run(folder / "one", first), make_run(folder / "two", second, turned), first, second


def softmax(values):
    return np.exp(values) / np.exp(values).sum()


@pytest.mark.parametrize("given", ["own", "named"])
def test_fused_accuracy_is_that_computed_by_hand_whatever_the_orders(fused, given):
    one, two, first, second = fused
    result = evaluate_action_recognition([one, two], None if given == "own" else [first, second])
    hand = {path: (softmax(FIRST[path]) + softmax(SECOND[path])) / 2 for path in LABELS}
    assert result["accuracy"] == 1.0 == np.mean(["abc"[row.argmax()] == LABELS[path] for path, row in hand.items()])
    assert [row["accuracy"] for row in result["runs"]] == [0.75, 0.5]
    for row in result["per_video"]:
        assert (row["label"], row["predicted"]) == (LABELS[row["path"]], "abc"[hand[row["path"]].argmax()])
        assert [row["probabilities"][name] for name in "abc"] == pytest.approx(hand[row["path"]], abs=1e-6)


def test_the_weights_of_a_mixture_are_those_that_a_search_finds():
    generator = np.random.default_rng(0)
    probabilities, labels = generator.dirichlet(np.ones(4), (2, 300)), generator.integers(0, 4, 300)
    probabilities[1, np.arange(300), labels] += 0.15
    probabilities /= probabilities.sum(-1, keepdims=True)
    grid = np.linspace(0, 1, 2001)
    first, second = probabilities[:, np.arange(300), labels]
    best = grid[np.argmax([np.log(w * first + (1 - w) * second).sum() for w in grid])]
    assert mixture_weights(probabilities, labels) == pytest.approx([best, 1 - best], abs=1e-3)
    assert mixture_weights(probabilities[:, :0], labels[:0]) == pytest.approx([0.5, 0.5])


def test_weights_are_fitted_on_validation_and_used_on_test(fused, tmp_path):
    one, two, first, second = fused
    both = ("validation", "test")
    data = write(tmp_path / "rgb", FIRST, splits=both), write(tmp_path / "flow", SECOND, ("c", "a", "b"), splits=both)
    result = evaluate_action_recognition([one, two], data, fuse="weighted")
    weights = mixture_weights([[softmax(each[path]) for path in LABELS] for each in (FIRST, SECOND)], [0, 1, 2, 0])
    assert [row["weight"] for row in result["runs"]] == pytest.approx(weights, abs=1e-5)
    for row in result["per_video"]:
        expected = weights @ [softmax(FIRST[row["path"]]), softmax(SECOND[row["path"]])]
        assert [row["probabilities"][name] for name in "abc"] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ShardError, match="validation"):
        evaluate_action_recognition([one, two], [first, second], fuse="weighted")


def test_data_that_list_classes_in_another_order_than_training_are_compared_by_name(fused):
    one, _, first, _ = fused
    turned = write(first + "-turned", FIRST, listed=("b", "c", "a"))
    assert evaluate_action_recognition([one], turned)["accuracy"] == 0.75


def test_videos_that_only_names_match_are_doubted(fused):
    one, two, first, second = fused
    doubts = evaluate_action_recognition([one, two], [first, second])["warnings"]
    assert any("keeps no hashes of its videos" in doubt for doubt in doubts)
    assert not any("no hashes" in doubt for doubt in evaluate_action_recognition([one, one], first)["warnings"])


def test_videos_missing_in_the_data_of_one_run_are_counted_and_named(fused, tmp_path, monkeypatch):
    one, _, first, _ = fused
    monkeypatch.setattr(RecordReader, "percept_windows", lambda *_: pytest.fail("it was read before it was refused"))
    fewer = write(tmp_path / "fewer", SECOND, paths=["3.avi", "1.avi"])
    with pytest.raises(RunError, match=r"fewer without 2 of the 4 videos of .*rgb \(0.avi, 2.avi\)"):
        evaluate_action_recognition([one, one], [first, fewer])


def test_a_video_of_two_labels_is_refused(fused, tmp_path):
    one, _, first, _ = fused
    other = write(tmp_path / "other", FIRST, labels=LABELS | {"2.avi": "b"})
    with pytest.raises(RunError, match=r"2.avi to have one label .* received 'c' and 'b'"):
        evaluate_action_recognition([one, one], [first, other])


def test_runs_of_other_classes_are_refused(fused, tmp_path):
    one, _, first, _ = fused
    shards = tmp_path / "shards"
    write_shards([{"frames": np.ones((3, 3), "f4"), "label": name} for name in "xyz"], shards, split="test")
    with pytest.raises(RunError, match=r"same classes.*\(a, b, c\).*\(x, y, z\)"):
        evaluate_action_recognition([one, make_run(tmp_path / "run", str(shards), "xyz")], [first, str(shards)])


def test_percepts_of_another_backbone_than_that_of_training_are_refused(fused, tmp_path, monkeypatch):
    _, _, first, _ = fused
    known = {"backbone": "net.keras", "layer": "fc6", "stream": "rgb", "weights_sha256": "1" * 64}
    run = make_run(tmp_path / "run", first, backbone=known)
    result = evaluate_action_recognition([run])
    assert any("does not say which backbone their percepts" in sentence for sentence in result["warnings"])
    backbone = dict(known, backbone="renamed.keras")
    monkeypatch.setattr("videorep.data.shards.dataset.Dataset.backbone", property(lambda self: backbone))
    assert not any("backbone" in sentence for sentence in evaluate_action_recognition([run])["warnings"])
    for change in ({"weights_sha256": "2" * 64}, {"layer": "fc7"}, {"stream": "flow", "flow_stack": 10}):
        backbone = known | change
        with pytest.raises(RunError, match=r"expected percepts of net.keras \(layer fc6, rgb.*received .*net.keras"):
            evaluate_action_recognition([run])


def test_percepts_that_are_not_finite_are_an_error_that_names_the_video(fused, tmp_path, monkeypatch):
    one, _, first, _ = fused
    real = RecordReader.percept_windows
    monkeypatch.setattr(RecordReader, "percept_windows", lambda self, *args: real(self, *args) * np.float32("nan"))
    with pytest.raises(ShardError, match=r"finite values in .*rgb, received NaN or infinity in 0.avi"):
        evaluate_action_recognition([one], first)


def test_a_run_whose_weights_are_not_finite_is_refused(fused, tmp_path):
    _, _, first, _ = fused
    run = make_run(tmp_path / "run", first)
    model = run.model()
    model.layers[-1].set_weights([np.full((3, 3), np.nan), np.zeros(3)])
    model.save(run.path / "model.keras")  # save_model would refuse
    with pytest.raises(RunError, match=r"expected finite weights in .*model.keras.* 1 arrays"):
        evaluate_action_recognition([run], first)


def test_a_stream_run_averages_25_stacks_of_each_clip_and_fuses_with_others(tmp_path):
    generator = np.random.default_rng(0)
    clips = [
        {"frames": generator.integers(0, 256, (30, 20, 24, 3), np.uint8), "label": "ab"[n % 2], "path": f"{n}"}
        for n in range(4)
    ]
    write_shards(clips, tmp_path / "clips", split="test", labels=("a", "b"))
    images = keras.Input((14, 14, 3))
    pooled = keras.layers.Rescaling(0.02)(keras.layers.GlobalAveragePooling2D(name="fc6")(images))
    model = keras.Model(images, keras.layers.Dense(2, "softmax")(pooled))
    config = StreamConfig(StreamModelConfig("rgb", 1, ("b", "a")), DataConfig(str(tmp_path / "clips")))
    run = create_run(tmp_path / "run", config)
    run.save_model(model)
    run.write_provenance({"data": {}})
    result = evaluate_action_recognition([run])
    stacks, expected = LabelledStacks(str(tmp_path / "clips"), "test", 14, 0), np.zeros((4, 2))
    for batch in stacks.evaluation(1):
        expected[int(batch["clip"][0])] += model(np.float32(batch["frames"]), training=False).numpy()[0] / 25
    by_path = {row["path"]: row["probabilities"] for row in result["per_video"]}
    for number, row in enumerate(expected):
        assert [by_path[f"{number}"][name] for name in ("b", "a")] == pytest.approx(row, abs=1e-5)
    assert result["accuracy"] == np.mean(["ba"[row.argmax()] == "ab"[n % 2] for n, row in enumerate(expected)])
    assert evaluate_action_recognition([run, run])["accuracy"] == result["accuracy"]


def test_runs_and_data_are_told_apart_by_what_they_hold(fused, tmp_path):
    one, two, first, second = fused
    names = [str(one.path), first, str(two.path), "moving-mnist", second]
    assert tell_apart(names) == ([str(one.path), str(two.path)], [first, "moving-mnist", second])
    video = tmp_path / "walk.mp4"
    video.write_bytes(b"x")
    for name, words in (
        (video, "a video; make shards"),
        (tmp_path / "nowhere", "does not exist"),
        (one.path.parent, "holds 2 of them"),
    ):
        with pytest.raises(DataError, match=words):
            tell_apart([str(name)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ShardError, match="an empty folder"):
        tell_apart([str(tmp_path / "empty")])
