"""Exported models: versioned folders with all that names them."""

import contextlib
import errno
import functools
import hashlib
import io
import json
import resource
import shutil
import types
from pathlib import Path

import numpy as np
import pytest

from videorep.config import ClassifierConfig, FinetuneConfig
from videorep.errors import OutputError, RunError
from videorep.locking import exclusive
from videorep.models import build_classifier
from videorep.progress import PlainProgress
from videorep.runs import create_run
from videorep.serving import export as export_module

export = functools.partial(export_module.export, check=False)  # tests/test_serving_check.py is of the check
CLASSES = ("jump", "run", "walk")
FEATURES = 5


@pytest.fixture
def plain_run(tmp_path):
    """A classifier of single frames, which is exported fast."""
    config = ClassifierConfig("single-frame", features=FEATURES, units=(4,), classes=CLASSES)
    run = create_run(tmp_path / "classifier", FinetuneConfig(config))
    model = build_classifier(config, seed=4)
    run.write_provenance({"data": {}})
    run.save_model(model)
    return run, model


def test_versions_count_up_and_are_not_replaced_unasked(plain_run, tmp_path):
    run, _ = plain_run
    assert export(run.path, tmp_path / "serving")["version"] == 1
    assert export(run.path, tmp_path / "serving")["version"] == 2
    with pytest.raises(OutputError, match="--overwrite"):
        export(run.path, tmp_path / "serving", version=2)
    assert export(run.path, tmp_path / "serving", version=2, overwrite=True)["version"] == 2
    assert sorted(path.name for path in (tmp_path / "serving").iterdir()) == ["1", "2"]


@pytest.mark.parametrize("name", ["note.txt", "variables/mine", None])
def test_only_an_export_is_replaced(plain_run, tmp_path, name):
    """None: a folder that no export made."""
    run, _ = plain_run
    if name:
        export(run.path, tmp_path / "serving", version=1)
    note = tmp_path / "serving" / "1" / (name or "note")
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text("keep")
    with pytest.raises(OutputError, match=f"expected an export in .*{name or 'without a readable'}"):
        export(run.path, tmp_path / "serving", version=1, overwrite=True)
    assert note.read_text() == "keep"


@pytest.mark.parametrize("name", ["run.json", "saved_model.pb"])
def test_no_version_lies_in_another_export(plain_run, tmp_path, name):
    """In one as LiteRT or ONNX, or in a version."""
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / name).write_text("{}")
    with pytest.raises(OutputError, match="phone, which is an export itself; choose another --out"):
        export(plain_run[0].path, tmp_path / "phone", overwrite=True)
    assert [path.name for path in (tmp_path / "phone").iterdir()] == [name]


def test_an_unfinished_run_is_not_exported(tmp_path):
    config = FinetuneConfig(ClassifierConfig(features=5, units=(4,), classes=CLASSES))
    run = create_run(tmp_path / "run", config)
    with pytest.raises(RunError, match="finished"):
        export(run.path, tmp_path / "serving")
    assert not (tmp_path / "serving").exists()


def test_an_unwritable_output_leaves_nothing(plain_run, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="--out"):
        export(plain_run[0].path, tmp_path / "file" / "serving")


def test_classes_and_a_model_card_are_assets(plain_run, tmp_path):
    folder = Path(export(plain_run[0].path, tmp_path / "serving")["path"])
    assert (folder / "assets" / "labels.txt").read_text().split() == list(CLASSES)
    card = (folder / "assets" / "model_card.md").read_text()
    assert "`serving_default`, `classify`, `classify_padded`" in card and "as percepts: 5 numbers for each" in card


def test_an_export_tells_how_far_it_is(plain_run, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "check_export", lambda *_: None)
    told = io.StringIO()
    names = export(plain_run[0].path, tmp_path / "serving", check=True, progress=PlainProgress(told))["signatures"]
    begun = [line for line in told.getvalue().splitlines() if "done" not in line]
    assert begun == [
        f"Asking the model: {2 * len(names)} requests",
        f"Writing the SavedModel: {len(names)} signatures",
        f"Checking in another process: {2 * len(names)} answers",
    ]


def facts_of(summary):
    return json.loads((Path(summary["path"]) / "assets.extra" / "run.json").read_text())


def test_an_export_names_its_run_its_data_and_what_it_takes(plain_run, tmp_path):
    run, _ = plain_run
    backbone = {"backbone": "net.keras", "weights_sha256": "0" * 64}
    run.write_provenance({"data": {"backbone": backbone, "shards": {"a": "hash"}}, "init": "kept"})
    facts = facts_of(export(run.path, tmp_path / "serving"))
    assert (facts["run"], facts["kind"], facts["provenance"]) == (str(run.path), "finetune", run.provenance)
    assert facts["config_sha256"] == hashlib.sha256((run.path / "config.json").read_bytes()).hexdigest()
    assert facts["model_sha256"] == hashlib.sha256((run.path / "model.keras").read_bytes()).hexdigest()
    assert facts["checked"] is False
    shape = [None, None, FEATURES]
    argument = {"name": "frames", "shape": shape, "dtype": "float32"}
    assert facts["signatures"]["classify_padded"]["inputs"] == ["frames", "length"]
    assert facts["input"] == argument | {"kind": "percepts", "backbone": backbone}
    run.write_provenance({"data": {"frame_shape": [1, 5, 1]}})
    again = facts_of(export(run.path, tmp_path / "serving"))
    assert again["input"] == argument | {"kind": "pixels", "frame_shape": [1, 5, 1]}


def test_an_export_names_all_of_its_other_files_by_hash(plain_run, tmp_path):
    summary = export(plain_run[0].path, tmp_path / "serving")
    folder = Path(summary["path"])
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    del there["assets.extra/run.json"]
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()}
    assert facts_of(summary)["files"] == hashes and "saved_model.pb" in hashes


def test_weights_that_are_not_finite_are_not_exported(plain_run, tmp_path):
    run, model = plain_run
    model.layers[-1].set_weights([np.full_like(each, np.nan) for each in model.layers[-1].get_weights()])
    model.save(run.path / "model.keras")  # save_model would refuse
    with pytest.raises(RunError, match="finite weights"):
        export(run.path, tmp_path / "serving")
    assert not (tmp_path / "serving").exists()


@contextlib.contextmanager
def largest_file(size):
    """No file may grow beyond so many bytes: what is written then fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 300, 3000])
def test_a_full_disk_is_told_in_one_sentence_and_leaves_nothing(plain_run, tmp_path, size):
    with largest_file(size), pytest.raises(OutputError) as caught:
        export(plain_run[0].path, tmp_path / "base" / "serving")
    assert "free some space" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "base").exists()


def test_what_a_killed_export_left_is_removed_by_the_next(plain_run, tmp_path):
    serving = tmp_path / "serving"
    (serving / "unfinished-7" / "variables").mkdir(parents=True)
    (serving / "notes").mkdir()
    assert export(plain_run[0].path, serving)["version"] == 1
    assert sorted(path.name for path in serving.iterdir()) == ["1", "notes"]


def test_two_exports_into_one_folder_do_not_mix(plain_run, tmp_path):
    (tmp_path / "serving").mkdir()
    with exclusive(tmp_path / "serving"), pytest.raises(OutputError, match="another process is writing there"):
        export(plain_run[0].path, tmp_path / "serving")


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_version_is_replaced_whole_whenever_the_export_is_killed(plain_run, tmp_path, monkeypatch, exchanges):
    run, serving = plain_run[0].path, tmp_path / "serving"
    export(run, serving)
    old = (serving / "1" / "saved_model.pb").stat().st_ino
    if not exchanges:
        library = types.SimpleNamespace(renameat2=lambda *_: -1)
        monkeypatch.setattr("videorep.serving.place.ctypes.CDLL", lambda *_, **__: library)
        monkeypatch.setattr("videorep.serving.place.ctypes.get_errno", lambda: errno.EINVAL)
    seen = []
    real = shutil.rmtree

    def watch(path, **options):  # whatever is removed: the version that a server would load is there and whole
        if Path(path).is_relative_to(serving):
            seen.append((serving / "1" / "saved_model.pb").stat().st_ino)
        assert (serving / "1" / "assets.extra" / "run.json").is_file()
        real(path, **options)

    monkeypatch.setattr(shutil, "rmtree", watch)
    export(run, serving, version=1, overwrite=True)
    assert seen and old not in seen
    assert [path.name for path in serving.iterdir()] == ["1"]
