"""The commands with their real workers, on models and data as small as can be."""

import hashlib
import json
import re

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from videorep.cli.main import videorep_command
from videorep.data import write_shards

TINY = ("--units", 4, "--layers", 1, "--steps", 2, "--batch-size", 2)


def run(*arguments):
    """What the command prints."""
    result = CliRunner().invoke(videorep_command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Shards of digits and a pretrained run on them; labelled percepts and a classifier of them."""
    folder = tmp_path_factory.mktemp("commands")
    digits, percepts = folder / "digits", folder / "percepts"
    run("build-shards", "moving-mnist", "--out", digits, "--count", 3, "--frames", 6)
    frames = ("--input-frames", 3, "--future-frames", 3)
    run("pretrain", digits, "--out", folder / "pretrained", *TINY, *frames)
    generator = np.random.default_rng(0)
    videos = [
        {"frames": generator.normal(label == "b", 0.1, (20, 5)).astype(np.float32), "label": label}
        for label in "ab"
        for _ in range(3)
    ]
    write_shards({"train": videos, "test": videos}, percepts)
    run("finetune", percepts, "--out", folder / "classifier", *TINY)
    return folder


def test_shards_verify_and_tell_what_they_hold(folder):
    assert run("verify", folder / "digits").endswith(f"{folder / 'digits'} is sound\n")
    told = run("inspect", folder / "digits", "--out", folder / "sheet.png")
    assert "sequences: 3" in told and "videos:" not in told and "64 x 64 pixels, grey" in told
    run("inspect", folder / "digits", "--out", folder / "flow.png", "--flow")
    run("inspect", folder / "percepts", "--out", folder / "percepts.png")
    for picture in ("sheet.png", "flow.png", "percepts.png"):
        assert cv2.imread(str(folder / picture)) is not None


def test_run_tells_its_settings(folder):
    told = run("inspect", folder / "pretrained")
    assert "finished: yes" in told
    assert "input frames:  3" in told and "steps:                2\n" in told


def test_training_again_with_resume_keeps_what_is_finished(folder):
    before = (folder / "classifier" / "model.keras").stat()
    run("finetune", folder / "percepts", "--out", folder / "classifier", *TINY, "--resume")
    assert (folder / "classifier" / "model.keras").stat() == before


def test_training_again_without_resume_is_refused(folder):
    arguments = ["pretrain", "moving-mnist", "--out", folder / "pretrained", *TINY]
    result = CliRunner().invoke(videorep_command, [str(argument) for argument in arguments])
    assert result.exit_code == 1 and "--resume" in result.stderr and "--overwrite" in result.stderr


def test_dry_run_writes_nothing(folder):
    told = run(
        "pretrain",
        folder / "digits",
        "--out",
        folder / "dry",
        *TINY,
        "--model",
        "autoencoder",
        "--dry-run",
        "--input-frames",
        3,
    )
    assert "parameters:" in told and not (folder / "dry").exists()


def test_future_prediction_is_compared_and_written(folder):
    told = run("evaluate", folder / "pretrained", folder / "digits", "--json", folder / "future.json")
    header, *rows = told[told.index("  figure") :].splitlines()
    assert header.split("  ")[-1].strip() == "copy the last frame"
    assert any("future cross entropy per frame" in row for row in rows)
    assert "model  standard error  predict the mean frame  predict black" in header and "the literature's MSE" in told
    figures = json.loads((folder / "future.json").read_text())
    assert figures["sequences"] == 3
    assert len(figures["future_by_frame"]["cross_entropy_per_frame"]["model"]) == 3


def test_classifiers_are_evaluated_alone_and_fused(folder):
    alone = run("evaluate", folder / "classifier", folder / "percepts")
    assert "videos:        6" in alone and "largest class: 0.5" in alone
    fused = run("evaluate", folder / "classifier", folder / "classifier", folder / "percepts", "--fuse", "mean")
    assert "fuse:" in fused and fused.count(str(folder / "classifier")) == 2


def test_every_video_and_what_is_doubtful_are_in_the_json(folder):
    arguments = ["evaluate", str(folder / "classifier"), "--json", str(folder / "videos.json")]  # on its own data
    result = CliRunner().invoke(videorep_command, arguments, catch_exceptions=False)
    written = json.loads((folder / "videos.json").read_text())
    assert [row["label"] for row in written["per_video"]] == ["a"] * 3 + ["b"] * 3
    assert all(sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5) for row in written["per_video"])
    assert written["warnings"] and all(f"Warning: {sentence}\n" in result.stderr for sentence in written["warnings"])


def test_data_must_be_none_one_or_one_per_run(folder):
    result = CliRunner().invoke(
        videorep_command, ["evaluate", str(folder / "classifier"), *[str(folder / "digits")] * 2]
    )
    assert result.exit_code == 2 and "received 1 and 2" in result.stderr


def test_the_numbers_of_a_few_label_curve_are_printed_and_one_point_is_told(folder):
    arguments = ["visualize", str(folder / "classifier"), "few-label-curve", "--out", str(folder / "few.png")]
    result = CliRunner().invoke(videorep_command, arguments, catch_exceptions=False)
    assert "videos per class  repeats  accuracy  deviation" in result.stdout
    assert "is one point, no curve" in result.stderr


def test_predictions_as_arrays_and_pictures(folder):
    common = ("predict", folder / "pretrained", folder / "digits", "--count", 2)
    run(*common, "--out", folder / "future.npz", "--horizon", 2)
    with np.load(folder / "future.npz") as file:
        shapes = {name: array.shape for name, array in file.items()}
    inputs, future = (2, 3, 4096), (2, 2, 4096)
    assert shapes == {"inputs": inputs, "reconstruction": inputs, "true_future": future, "future": future}
    for name in ("future.png", "future.gif"):
        run(*common, "--out", folder / name)
        assert (folder / name).stat().st_size > 1000


def test_predictions_of_another_kind_are_bad_usage(folder):
    arguments = ["predict", str(folder / "pretrained"), "moving-mnist", "--out", "x.mp4"]
    result = CliRunner().invoke(videorep_command, arguments)
    assert result.exit_code == 2 and ".npz, .png, .gif" in result.stderr


@pytest.mark.parametrize("what", ["strips", "curves", "features"])
def test_pictures_of_a_run(folder, what):
    out = folder / f"{what}.png"
    run("visualize", folder / "pretrained", what, "--out", out)
    assert cv2.imread(str(out)) is not None


def test_export_states_scores_of_its_own_run_alone(folder):
    digest = hashlib.sha256((folder / "classifier" / "model.keras").read_bytes()).hexdigest()
    for name, data in (("classifier", "percepts"), ("pretrained", "digits")):
        run("evaluate", folder / name, folder / data, "--json", folder / f"{name}.json")
    told = json.loads((folder / "classifier.json").read_text())
    assert told["models"] == [digest] and told["data"] == [str(folder / "percepts")]
    words = ["export", folder / "classifier", "--out", folder / "scored", "--no-check", "--scores"]
    run(*words, folder / "classifier.json")
    card = (folder / "scored" / "1" / "assets" / "model_card.md").read_text()
    assert f"of `{folder / 'percepts'}`, 6 videos:" in card and f"{told['accuracy']:.1%} | 95 % interval" in card
    for other in (folder / "pretrained.json", folder / "missing.json", folder):
        result = CliRunner().invoke(videorep_command, [*map(str, words), str(other)])
        assert result.exit_code == 1 and str(other) in result.output and "Traceback" not in result.output
    assert [path.name for path in (folder / "scored").iterdir()] == ["1"]


def test_export_numbers_versions(folder):
    for number in (1, 2):
        told = run("export", folder / "classifier", "--out", folder / "serving", "--no-check")
        assert re.search(rf"^version: +{number}$", told, re.MULTILINE)
        assert (folder / "serving" / str(number) / "saved_model.pb").is_file()
