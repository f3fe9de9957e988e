"""Run folders: made once, resumed only with the same settings, replaced only when asked."""

import dataclasses
import errno
import os

import keras
import numpy as np
import pytest

from videorep.config import ModelConfig, PretrainConfig, TrainingConfig
from videorep.errors import ConfigError, OutputError, RunError
from videorep.runs import create_run, load_run

CONFIG = PretrainConfig(model=ModelConfig(features=6, units=(5,)))


def test_a_run_keeps_its_settings(tmp_path):
    create_run(tmp_path / "run", CONFIG)
    assert load_run(tmp_path / "run").config == CONFIG


def test_a_second_run_needs_resume_or_overwrite(tmp_path):
    create_run(tmp_path / "run", CONFIG)
    with pytest.raises(RunError, match=r"--resume.*--overwrite"):
        create_run(tmp_path / "run", CONFIG)
    assert create_run(tmp_path / "run", CONFIG, resume=True).config == CONFIG


def test_resume_and_overwrite_exclude_each_other(tmp_path):
    with pytest.raises(ConfigError, match="received both"):
        create_run(tmp_path / "run", CONFIG, resume=True, overwrite=True)
    assert not (tmp_path / "run").exists()


def test_resume_refuses_other_settings(tmp_path):
    create_run(tmp_path / "run", CONFIG)
    other = dataclasses.replace(CONFIG, training=TrainingConfig(learning_rate=0.5))
    with pytest.raises(RunError, match=r"training.learning_rate = 0.003.*0.5"):
        create_run(tmp_path / "run", other, resume=True)


def test_overwrite_starts_afresh(tmp_path):
    run = create_run(tmp_path / "run", CONFIG)
    (run.path / "metrics.jsonl").write_text("{}\n")
    run = create_run(tmp_path / "run", CONFIG, overwrite=True)
    assert not run.metrics_path.exists()


def test_a_linked_folder_is_told_and_kept(tmp_path):
    create_run(tmp_path / "elsewhere", CONFIG)
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="symbolic link"):
        create_run(tmp_path / "run", CONFIG, overwrite=True)
    assert load_run(tmp_path / "run").config == CONFIG


def test_overwrite_spares_what_is_not_a_run(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(RunError, match="not a run"):
        create_run(tmp_path / "photos", CONFIG, overwrite=True)
    assert (tmp_path / "photos" / "a.jpg").exists()


def test_missing_unfinished_and_damaged_runs(tmp_path):
    with pytest.raises(RunError, match="is not a folder"):
        load_run(tmp_path / "nothing")
    run = create_run(tmp_path / "run", CONFIG)
    with pytest.raises(RunError, match="--resume"):
        run.model()
    (run.path / "config.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        load_run(run.path)


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="--out"):
        create_run(tmp_path / "file" / "run", CONFIG)


def test_reports_are_whole_lines(tmp_path):
    run = create_run(tmp_path / "run", CONFIG)
    assert run.metrics() == [] and run.last_report() == {}
    run.metrics_path.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert run.metrics() == [{"step": 1}, {"step": 2}] and run.last_report() == {"step": 2}


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


def test_a_model_that_is_not_finite_is_not_kept(tmp_path, model):
    run = create_run(tmp_path / "run", CONFIG)
    model.layers[-1].bias.assign([np.inf, 0.0])
    with pytest.raises(RunError, match="received 1 arrays that are not; lower --learning-rate"):
        run.save_model(model)
    assert not run.finished


def test_a_model_that_finds_no_space_leaves_nothing(tmp_path, model, monkeypatch):
    run = create_run(tmp_path / "run", CONFIG)
    before = sorted(os.listdir(run.path))

    def fill(path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(model, "save", fill)
    with pytest.raises(OutputError, match=r"model.keras, received: No space left on device; free some .*--resume"):
        run.save_model(model)
    assert sorted(os.listdir(run.path)) == before
