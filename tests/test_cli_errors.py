"""Real mistakes at the command line: one sentence, the right exit status, nothing left behind."""

import os

import pytest
from click.testing import CliRunner

from videorep.cli.main import videorep_command


def invoke(*arguments):
    result = CliRunner().invoke(videorep_command, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def fails(*arguments):
    """The one sentence with which the command fails."""
    result = invoke(*arguments)
    assert result.exit_code == 1, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and result.stderr.endswith(errors[0] + "\n")
    return errors[0]


@pytest.fixture
def missing(tmp_path):
    return tmp_path / "missing"


@pytest.fixture
def empty(tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_training_without_shards(command, folder, request, out):
    path = request.getfixturevalue(folder)
    assert str(path) in fails(command, path, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_building_from_nothing(folder, request, out):
    path = request.getfixturevalue(folder)
    for command in ("clips", path), ("percepts", path, "--backbone", "vgg16"):
        assert str(path) in fails("build-shards", *command, "--out", out)
        assert not out.exists()


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_runs_that_are_none(folder, request, out):
    path = request.getfixturevalue(folder)
    for command in (
        ("export", path, "--out", out),
        ("finetune", path, "--init", path, "--out", out),
        ("evaluate", path, "moving-mnist"),
        ("predict", path, "moving-mnist", "--out", out.with_suffix(".npz")),
        ("visualize", path, "strips", "--out", out.with_suffix(".png")),
        ("inspect", path),
        ("verify", path),
    ):
        assert str(path) in fails(*command)
    assert not list(out.parent.glob("out*"))


def test_text_file_named_like_a_video(tmp_path, out):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "notes.mp4").write_text("not a video")
    fails("build-shards", "clips", tmp_path / "videos", "--out", out)
    assert not out.exists()


def test_output_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "run"
    assert str(target) in fails("pretrain", "moving-mnist", "--out", target, "--units", 4, "--layers", 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_output_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    target = tmp_path / "run"
    message = fails("pretrain", "moving-mnist", "--out", target, "--units", 4, "--layers", 1)
    assert str(target) in message and "Permission denied" in message


@pytest.mark.parametrize("place", ["no/such/folder/x.json", ""])
def test_result_file_is_checked_before_the_work(tmp_path, missing, place):
    target = tmp_path / place
    assert str(target.parent if place else target) in fails("evaluate", missing, "moving-mnist", "--json", target)


def test_result_file_is_not_overwritten(tmp_path, missing):
    target = tmp_path / "x.json"
    target.write_text("precious")
    assert "--overwrite" in fails("evaluate", missing, "moving-mnist", "--json", target)
    assert target.read_text() == "precious"


def test_evaluate_wants_a_run_and_data():
    result = invoke("evaluate", "moving-mnist")
    assert result.exit_code == 2 and "RUN" in result.stderr
