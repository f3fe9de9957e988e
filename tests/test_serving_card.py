"""The model card: what it says is in the run's files, its figures are counted by hand, and no name breaks it."""

import hashlib
import itertools
import json
import math

import pytest
from markdown_it import MarkdownIt

from videorep.config import ClassifierConfig, DataConfig, FinetuneConfig, ModelConfig, PretrainConfig, TrainingConfig
from videorep.errors import RunError
from videorep.runs import create_run
from videorep.serving.card import write_card
from videorep.serving.origins import describe_origin
from videorep.serving.scores import read_scores

HEADINGS = ["Data", "Recipe", "Scores", "Limits"]
FRONT = "---\nlibrary_name: keras\npipeline_tag: video-classification\ntags:\n- video-classification\n"
NASTY = ("a`b``|c", "--- \n# no heading", "<script>x</script>", "![x](http://x)\x1b[31m", "`", "{{ 7 * 7 }}")
BACKBONE = {"backbone": "net.keras", "layer": "fc6", "weights_sha256": "5" * 64}
DATA = {
    "path": "shards/percepts",
    "kind": "percepts",
    "split": "train",
    "videos": 1234,
    "shards": {"a": "1", "b": "2"},
    "manifest_sha256": "4" * 64,
    "backbone": BACKBONE,
    "stages": {"clips": {"fps": 12.5, "size": [64, 80], "quality": 95}},
}
INIT = {"path": "runs/first", "model_sha256": "3" * 64, "provenance": {"data": {"path": "shards/unlabelled"}}}


def make_run(folder, classes=("jump", "run"), **provenance):
    model = ClassifierConfig(features=5, units=(4, 3), classes=classes, block_frames=6)
    config = FinetuneConfig(model, training=TrainingConfig(steps=70, batch_size=9, optimizer="adam", seed=8))
    return finished(create_run(folder, config), **provenance)


def finished(run, **provenance):
    run.write_provenance(provenance)
    run.model_path.write_bytes(b"a model")
    run.metrics_path.write_text(json.dumps({"step": 60, "sequences": 1, "seconds": 1.0, "block_accuracy": 1.0}) + "\n")
    return run


def card_of(run, *paths):
    return write_card(run, describe_origin(run), {"Signatures": ["classify"]}, read_scores(paths, run))


def parse(card):
    """Headings, contents of code, and kinds of what else there is, as a reader of Markdown sees the card."""
    body = card.split("---\n", 2)[2]
    tokens = MarkdownIt().enable("table").parse(body)
    inline = [child for token in tokens if token.type == "inline" for child in token.children]
    headings = [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]
    code = [each.content for each in inline if each.type == "code_inline"]
    return headings, code, {each.type for each in (*tokens, *inline)}


def write_scores(path, correct=25, videos=31, **more):
    classes = [{"class": "jump", "videos": videos, "accuracy": 1.0}]
    told = {"split": "test", "videos": videos, "accuracy": correct / videos, "largest_class": 0.5, "classes": classes}
    path.write_text(json.dumps(told | {"warnings": ["few videos"]} | more))
    return path


def test_a_card_tells_data_recipe_and_limits(tmp_path):
    card = card_of(make_run(tmp_path / "run", data=DATA, init=INIT, versions={"keras": "3.9"}))
    headings, code, _ = parse(card)
    assert card.startswith(FRONT) and headings == ["Model `run`", *HEADINGS]
    digest = hashlib.sha256(b"a model").hexdigest()
    for name in ("jump", "run", "shards/percepts", "train", "net.keras", "fc6", "5" * 64, "4" * 64, "12.5", digest):
        assert name in code, name
    for name in ("runs/first", "3" * 64, "shards/unlabelled", "keras", "3.9", "labels.txt"):
        assert name in code, name
    for words in (
        "1,234 videos", "2 shards", "2 layers of 4, 3 units, blocks of 6 frames", "at most 70 steps of 9, adam",
        "seed 8",
        "of the training videos and no test score", "No test score was given", "--scores FILE", "knows the 2 classes",
        "5 numbers for each", "trained on 6 frames at a time", "`12.5` frames per second.\n- It was not tested",
    ):  # fmt: skip
        assert words in card, words
    assert "metrics:" not in card


def test_no_name_breaks_the_card(tmp_path):
    data = DATA | {"path": NASTY[1], "backbone": BACKBONE | {"backbone": NASTY[0]}}
    run = make_run(tmp_path / "r`un|", NASTY, data=data, versions={NASTY[2]: NASTY[3]})
    path = write_scores(tmp_path / "scores.json", classes=[], data=[NASTY[0]], warnings=[NASTY[1]])
    headings, code, kinds = parse(card_of(run, path))
    shown = [name.replace("\n", "\\x0a").replace("\x1b", "\\x1b") for name in NASTY]
    assert {each.strip() for each in shown} <= {each.strip() for each in code}
    assert len(headings) == 5 and headings[1:] == HEADINGS
    assert not kinds & {"html_inline", "html_block", "image", "link_open", "hr", "fence", "code_block"}


def test_generated_digits_are_data(tmp_path):
    model = ModelConfig("autoencoder", features=4096, units=(4,))
    digits = {"generator": "moving-mnist", "digits": "rendered", "split": "train", "frame_shape": [64, 64, 1]}
    card = card_of(finished(create_run(tmp_path / "run", PretrainConfig(model)), data=digits))
    assert "- `moving-mnist`, `rendered`, split `train`.\n" in card
    assert "pixels of a video's frames in [0, 1]: 4,096 numbers for each step, of frames of `64 x 64 x 1`" in card


@pytest.mark.parametrize("data", [None, "none", {}, {"also": 3, "shards": [], "backbone": "x", "frame_shape": 3}])
def test_what_a_run_did_not_note_is_left_out(tmp_path, data):
    headings, _, _ = parse(card_of(make_run(tmp_path / "run", data=data, init=[], versions=3)))
    assert headings[1:] == HEADINGS


def test_an_accuracy_has_wilsons_interval(tmp_path):
    run, n, z = make_run(tmp_path / "run", data=DATA), 31, 1.959964
    card = card_of(run, write_scores(tmp_path / "a.json"), write_scores(tmp_path / "b.json", 31, split="train"))
    for correct in (25, 31):
        middle, half = correct / n + z**2 / 2 / n, z * math.sqrt(correct / n * (1 - correct / n) / n + (z / 2 / n) ** 2)
        low, high = (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
        row = f"| {correct / n:.1%} | 95 % interval (Wilson) {low:.1%} to {high:.1%} |"
        assert row in card, row
    assert (
        "`test`, 31 videos:" in card
        and "`train`, 31 videos; no test score:" in card
        and "metrics:\n- accuracy\n---" in card
    )
    assert "`few videos`" in card and "tested on nothing but" in card and "table_open" in parse(card)[2]


def test_a_predictors_figures_have_standard_errors(tmp_path):
    model = ModelConfig("composite", features=5, units=(4,), input_frames=3, future_frames=2)
    run = finished(create_run(tmp_path / "run", PretrainConfig(model, DataConfig("shards"))), data=DATA)
    figure = "future_cross_entropy_per_frame"
    rows = [{"predictor": "model", figure: 1.5}, {"predictor": "a|b", figure: 2.5, "reconstruction_error": None}]
    told = {
        "split": "test",
        "sequences": 1200,
        "rows": rows,
        "standard_errors": [{"predictor": "model", figure: 0.125}],
    }
    (tmp_path / "a.json").write_text(json.dumps(told))
    card = card_of(run, tmp_path / "a.json")
    name = "`future cross entropy per frame`"
    assert f"| `model` | {name} | 1.5 | standard error 0.12 |\n| `a\\|b` | {name} | 2.5 |  |\n" in card
    assert "1,200 sequences" in card and "pipeline_tag" not in card and "metrics" not in card
    assert "reconstruction and future of the frames" in card and "sequences of 5 frames" in card
    with pytest.raises(RunError, match=r"scores of .* alone"):
        read_scores([write_scores(tmp_path / "videos.json")], run)
    with pytest.raises(RunError, match=r"scores of .* alone"):
        read_scores([tmp_path / "a.json"], make_run(tmp_path / "classifier"))


@pytest.mark.parametrize(
    "more",
    [
        {"models": ["0" * 64]},
        {"models": [hashlib.sha256(b"a model").hexdigest()] * 2},
        {"runs": [{"run": "a"}, {"run": "b"}]},
        {"classes": [{"class": "swim"}]},
    ],
)
def test_scores_of_others_are_refused(tmp_path, more):
    with pytest.raises(RunError, match=r"alone, received those of others in .*a.json; evaluate that run"):
        read_scores([write_scores(tmp_path / "a.json", **more)], make_run(tmp_path / "run"))
    own = {"models": [hashlib.sha256(b"a model").hexdigest()], "classes": [{"class": "swim"}]}
    assert read_scores([write_scores(tmp_path / "own.json", **own)], make_run(tmp_path / "run2"))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"accuracy": 1}', '{"rows": 3, "frames": 1, "split": ""}', '{"rows": [3]}']
    + [f'{{"accuracy": {a}, "videos": {n}, "largest_class": 1, "split": "test"}}' for a, n in
       ((2, 3), ("NaN", 3), (1, 1e400), (1, '"3"'), ("[]", 1), (1, 0), (1, 1.5), ("1e999", 2))],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(RunError, match=r"expected what videorep evaluate RUN --json FILE wrote in .*a.json"):
        read_scores([tmp_path / "a.json"], make_run(tmp_path / "run"))
