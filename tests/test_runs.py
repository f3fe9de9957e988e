"""Run folders: made once, resumed only with the same settings, replaced only when asked."""

import contextlib
import dataclasses
import errno
import json
import os

import keras
import numpy as np
import pytest

from videorep.config import FinetuneConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig, StreamConfig
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
    other = dataclasses.replace(CONFIG, training=PretrainTrainingConfig(learning_rate=0.5))
    with pytest.raises(RunError, match=r"training.learning_rate = 0.001.*0.5"):
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


def test_overwrite_removes_what_the_run_made_and_nothing_else(tmp_path):
    run = create_run(tmp_path / "run", CONFIG)
    made = ["model.keras", "metrics.jsonl", "provenance.json", "unfinished-model.keras", "checkpoints/checkpoint"]
    made += ["checkpoints/ckpt-7.index", "checkpoints/ckpt-8_temp/part", "events/events.out.tfevents.1"]
    kept = ["notes.txt", "unfinished-thoughts.txt", "checkpoints/mine", "other/config.json", "other/model.keras"]
    for name in made + kept:
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).write_text(name)
    create_run(run.path, CONFIG, overwrite=True)
    left = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert left == {"config.json", *kept}
    assert not (run.path / "events").exists()


def test_a_full_disk_leaves_nothing_that_blocks(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left on device; free some space"):
            create_run(tmp_path / "run", CONFIG)
    assert list((tmp_path / "run").iterdir()) == []
    create_run(tmp_path / "run", CONFIG, resume=True)


def test_what_a_killed_process_left_of_config_json_does_not_block(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "unfinished-config.json").write_text("")
    create_run(tmp_path / "run", CONFIG, resume=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]


def test_a_model_that_cannot_be_written_leaves_the_old_one(tmp_path):
    class Model:
        def get_weights(self):
            return []

        def save(self, path):
            path.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = create_run(tmp_path / "run", CONFIG)
    run.model_path.write_text("whole")
    with pytest.raises(OutputError, match="No space left"):
        run.save_model(Model())
    assert run.model_path.read_text() == "whole" and not list(run.path.glob("unfinished-*"))


GARBAGE = [
    b"",
    b"{",
    b"[]",
    b"3",
    b"null",
    b"\xff\xfe",
    b"[" * 100_000,
    b"9" * 6000,
    b'{"kind": "pretrain", "model": 3}',
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda text: text[:12].decode("latin-1"))
def test_garbled_settings_are_told(tmp_path, garbage):
    run = create_run(tmp_path / "run", CONFIG)
    (run.path / "config.json").write_bytes(garbage)
    with pytest.raises(RunError, match=r"config\.json"):
        load_run(run.path)


def mutations(values, path=()):
    """Every value of nested settings, replaced by others, left out, or beside an unknown one."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from mutations(value, (*path, key))
        for other in (None, [], {}, [[]], "", "x", -1, 10**400, 1e999, True, float("nan")):
            yield path, key, other
        yield path, key, ...


@pytest.mark.parametrize("config", [CONFIG, FinetuneConfig(), StreamConfig()], ids=lambda config: config.kind)
def test_every_mutation_of_the_settings_opens_or_is_told(tmp_path, config):
    run = create_run(tmp_path / "run", config)
    whole = json.loads((run.path / "config.json").read_text())
    for path, key, value in mutations(whole):
        changed = json.loads(json.dumps(whole))
        table = changed
        for name in path:
            table = table[name]
        if value is ...:
            del table[key]
        else:
            table[key] = value
        (run.path / "config.json").write_text(json.dumps(changed))
        with contextlib.suppress(RunError):
            load_run(run.path)


def test_missing_or_garbled_provenance_is_told(tmp_path):
    run = create_run(tmp_path / "run", CONFIG)
    for text in (None, "{", "[]"):
        if text is not None:
            (run.path / "provenance.json").write_text(text)
        with pytest.raises(RunError, match=r"provenance\.json"):
            assert run.provenance


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


@pytest.mark.parametrize("name", ["checkpoints", "events"])
@pytest.mark.parametrize("choice", ["resume", "overwrite"])
def test_a_run_whose_folders_are_links_is_left_alone(tmp_path, name, choice):
    run, elsewhere = create_run(tmp_path / "run", CONFIG), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "ckpt-7.index").write_text("of somebody else")
    (run.path / name).symlink_to(elsewhere)
    with pytest.raises(OutputError, match="symbolic link"):
        create_run(run.path, CONFIG, **{choice: True})
    assert (elsewhere / "ckpt-7.index").exists()
