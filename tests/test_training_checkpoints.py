"""Checkpoints: what is damaged is never gone on from in silence, what is not finite is never kept."""

import os
import warnings

import numpy as np
import pytest
import tensorflow as tf
from small_disk import fill, small_disk

from videorep.errors import OutputError, RunError, VideorepWarning
from videorep.training.checkpoints import Checkpoints, Position

STEPS = 40


def make_variables(scale=0.0):
    """Two float arrays and a counter, by which a checkpoint is recognised."""
    rng = np.random.default_rng(0)
    arrays = [rng.random((4, 5), "float32") * scale, rng.random(7, "float32") * scale, np.int64(scale)]
    return [tf.Variable(array) for array in arrays]


def open_checkpoints(folder, scale=0.0):
    variables = make_variables(scale)
    return Checkpoints(folder, variables, STEPS), variables


def write(folder, *steps):
    """Checkpoints whose weights are multiples of their step."""
    checkpoints, variables = open_checkpoints(folder)
    for step in steps:
        for variable, value in zip(variables, make_variables(step), strict=True):
            variable.assign(value)
        checkpoints.save(Position(step, 2.0 * step, {"loss": tf.constant(step / 4)}, 3))
    return checkpoints, variables


def restored(folder):
    """The position gone back to; its weights are those that were written there."""
    checkpoints, variables = open_checkpoints(folder)
    position = checkpoints.restore()
    for received, wanted in zip(variables, make_variables(position.step), strict=True):
        np.testing.assert_array_equal(received, wanted)
    if position.step:
        assert position == Position(position.step, 2.0 * position.step, {"loss": position.step / 4}, 3)
    return position.step


def falls_back(folder, step, named):
    with pytest.warns(VideorepWarning, match=f"{named} .*going on from ckpt-{step}$") as caught:
        assert restored(folder) == step
    return len(caught) == 1


@pytest.fixture
def folder(tmp_path):
    """Checkpoints of steps 10 and 20."""
    write(tmp_path / "checkpoints", 5, 10, 20)
    return tmp_path / "checkpoints"


def test_the_newest_two_are_kept_and_the_newest_is_gone_on_from(folder):
    assert {path.name.split(".")[0] for path in folder.iterdir()} == {"checkpoint", "ckpt-10", "ckpt-20"}
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / "ckpt-20")
    assert restored(folder) == 20


def test_where_nothing_was_kept_training_begins_afresh(tmp_path):
    assert restored(tmp_path / "checkpoints") == 0
    (tmp_path / "checkpoints").mkdir()
    assert restored(tmp_path / "checkpoints") == 0


DAMAGES = {
    "empty data": ("ckpt-20.data-00000-of-00001", lambda content: b""),
    "half of the data": ("ckpt-20.data-00000-of-00001", lambda content: content[: len(content) // 2]),
    "data of zeros": ("ckpt-20.data-00000-of-00001", lambda content: bytes(len(content))),
    "empty index": ("ckpt-20.index", lambda content: b""),
    "half of the index": ("ckpt-20.index", lambda content: content[: len(content) // 2]),
    "nonsense index": ("ckpt-20.index", lambda content: b"nonsense"),
}


@pytest.mark.parametrize(("name", "damage"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_checkpoint_gives_way_to_the_older_one(folder, name, damage):
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    assert falls_back(folder, 10, "ckpt-20")


@pytest.mark.parametrize("name", ["ckpt-20.data-00000-of-00001", "ckpt-20.index", "checkpoint"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    if name == "checkpoint":
        assert restored(folder) == 20
    else:
        falls_back(folder, 10, "ckpt-20")


def test_missing_data_give_way_to_the_older_one(folder):
    (folder / "ckpt-20.data-00000-of-00001").unlink()
    assert falls_back(folder, 10, "ckpt-20")


def test_a_removed_checkpoint_leaves_the_older_one(folder):
    for path in folder.glob("ckpt-20.*"):
        path.unlink()
    assert restored(folder) == 10


every_so_many_bytes = pytest.mark.parametrize("stride", [29, pytest.param(1, marks=pytest.mark.slow)])


@every_so_many_bytes
def test_the_text_file_decides_nothing(folder, stride):
    """Its bytes flipped, empty, missing: training goes on from the newest checkpoint."""
    path = folder / "checkpoint"
    content = path.read_bytes()
    checkpoints, _ = open_checkpoints(folder)
    for place in range(0, len(content), stride):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x15]) + content[place + 1 :])
        assert checkpoints.restore().step == 20
    path.write_bytes(b"")
    assert restored(folder) == 20
    path.unlink()
    assert restored(folder) == 20


@every_so_many_bytes
def test_no_flip_is_silent(folder, stride):
    """A flipped byte is told, or it changes nothing (padding)."""
    checkpoints, variables = open_checkpoints(folder)
    for path in sorted(folder.glob("ckpt-20.*")):
        content = path.read_bytes()
        for place in range(0, len(content), stride):
            path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                step = checkpoints.restore().step
            assert step == (10 if caught else 20)
            np.testing.assert_array_equal(variables[0], make_variables(step)[0])
        path.write_bytes(content)


def test_training_stops_where_no_checkpoint_can_be_read(folder):
    for path in folder.glob("*.index"):
        path.write_bytes(b"nonsense")
    with pytest.raises(RunError, match=r"received ckpt-20, ckpt-10, damaged; .*--overwrite"):
        restored(folder)
    for path in folder.glob("*.index"):
        path.unlink()
    with pytest.raises(RunError, match="received none though one was kept"):
        restored(folder)


def test_damaged_files_do_not_push_out_sound_ones(folder):
    (folder / "ckpt-20.index").write_bytes(b"nonsense")
    checkpoints, _ = open_checkpoints(folder)
    with pytest.warns(VideorepWarning):
        checkpoints.restore()
    checkpoints.save(Position(15))
    assert sorted(path.name for path in folder.glob("*.index")) == ["ckpt-10.index", "ckpt-15.index"]


def test_what_a_killed_process_left_is_removed(folder):
    """As SIGKILL leaves it while a checkpoint is written; files of others stay."""
    (folder / "ckpt-30_temp").mkdir()
    (folder / "ckpt-30_temp" / "part-00000-of-00001.data-00000-of-00001.tempstate1").write_bytes(b"half")
    (folder / "ckpt-30_temp-7").write_bytes(b"")
    (folder / "ckpt-notes.txt").write_text("mine")
    assert restored(folder) == 20
    assert not list(folder.glob("*_temp*")) and (folder / "ckpt-notes.txt").exists()


def test_data_without_an_index_are_no_checkpoint(folder, tmp_path):
    """The process was killed between the two files."""
    (folder / "ckpt-30.data-00000-of-00001").write_bytes(b"whatever")
    assert restored(folder) == 20
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "ckpt-5.data-00000-of-00001").write_bytes(b"whatever")
    assert restored(tmp_path / "first") == 0


OTHERS = {
    "a shape": [np.zeros((5, 4), "float32"), np.zeros(7, "float32"), np.int64(0)],
    "a dtype": [np.zeros((4, 5), "float32"), np.zeros(7, "float32"), np.float32(0)],
    "fewer": [np.zeros((4, 5), "float32"), np.zeros(7, "float32")],
    "more": [np.zeros((4, 5), "float32"), np.zeros(7, "float32"), np.int64(0), np.float32(0)],
}


@pytest.mark.parametrize("arrays", OTHERS.values(), ids=OTHERS.keys())
def test_weights_of_another_model_are_refused(folder, arrays):
    variables = [tf.Variable(array) for array in arrays]
    with pytest.raises(RunError, match=r"ckpt-20 to hold the weights of this model.*--overwrite"):
        Checkpoints(folder, variables, STEPS).restore()
    assert not any(np.asarray(variable).any() for variable in variables)


def test_a_step_beyond_the_last_is_refused(folder):
    with pytest.raises(RunError, match="at most 15, received one of step 20"):
        Checkpoints(folder, make_variables(), 15).restore()
    for path in folder.glob("ckpt-20.*"):
        path.rename(folder / path.name.replace("20", "30"))
    with pytest.raises(RunError, match="ckpt-30 to be of step 30"):
        restored(folder)


BAD = {"a weight": (np.nan, 1.0), "an endless weight": (np.inf, 1.0), "a sum": (0.0, np.nan)}


@pytest.mark.parametrize(("weight", "total"), BAD.values(), ids=BAD.keys())
def test_what_is_not_finite_is_not_kept(folder, weight, total):
    checkpoints, variables = open_checkpoints(folder)
    checkpoints.restore()
    variables[1][3].assign(weight)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RunError, match=r"by step 25; lower --learning-rate .*\(the checkpoint of step 20 in .* sound"):
        checkpoints.save(Position(25, 0.0, {"loss": tf.constant(total)}, 1))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_only_a_checkpoint_that_is_there_is_named(folder, tmp_path):
    with pytest.raises(RunError, match=r"train again$"):
        open_checkpoints(tmp_path / "none")[0].require_finite({"loss": np.inf}, 3)
    checkpoints, _ = open_checkpoints(folder)
    checkpoints.restore()
    for path in folder.glob("ckpt-20.*"):
        path.unlink()
    with pytest.raises(RunError, match=r"train again$"):
        checkpoints.require_finite({"loss": np.inf}, 30)


def test_a_checkpoint_that_is_not_finite_gives_way(folder, monkeypatch):
    """Versions before this check kept such."""
    checkpoints, variables = open_checkpoints(folder)
    checkpoints.restore()
    variables[0].assign(variables[0] * np.nan)
    monkeypatch.setattr(checkpoints, "_is_finite", lambda: True)
    checkpoints.save(Position(30))
    assert falls_back(folder, 20, "ckpt-30")


def test_a_full_disk_keeps_the_older_checkpoint(tmp_path):
    with small_disk(tmp_path / "disk", "64k") as disk:
        checkpoints, _ = write(disk / "checkpoints", 10)
        filler = disk / "filler"
        fill(filler)
        with pytest.raises(OutputError, match=r"No space left on device; free some space there .*--resume"):
            checkpoints.save(Position(20))
        assert not list((disk / "checkpoints").glob("*_temp*"))
        assert restored(disk / "checkpoints") == 10
        filler.unlink()
        checkpoints.save(Position(20))
