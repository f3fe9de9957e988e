"""How every run starts: its folder comes first and is kept from others; it goes on only with what it began with."""

import dataclasses
import hashlib
import json
import shutil
import warnings

import numpy as np
import pytest

from videorep.config import (
    ClassifierConfig,
    DataConfig,
    FinetuneConfig,
    ModelConfig,
    PretrainConfig,
    PretrainTrainingConfig,
    TrainingConfig,
)
from videorep.data import write_shards
from videorep.errors import ConfigError, OutputError, RunError, ShardError, VideorepWarning
from videorep.locking import exclusive
from videorep.runs import create_run, load_run
from videorep.training import job as module
from videorep.training import provenance
from videorep.training.finetune import finetune
from videorep.training.pretrain import pretrain

STEPS = {"steps": 2, "batch_size": 2, "report_every": 1, "checkpoint_every": 1, "warmup_steps": 1}
TRAINING = PretrainTrainingConfig(**STEPS)


def write_percepts(folder, seed=0):
    generator = np.random.default_rng(seed)
    videos = [{"frames": generator.random((12, 5), np.float32), "label": "ab"[n % 2]} for n in range(8)]
    write_shards({"train": videos}, folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with percepts and a run that was pretrained on them."""
    folder = tmp_path_factory.mktemp("made")
    write_percepts(folder / "percepts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TrainingLoop", NoTraining)
        pretrain(pretrain_config(folder), folder / "composite")
    return folder


@pytest.fixture
def workplace(made, tmp_path):
    """A copy of these that a test may change; the run names the original percepts."""
    shutil.copytree(made, tmp_path / "work")
    return tmp_path / "work"


def pretrain_config(folder):
    model = ModelConfig(units=(3,), input_frames=4, future_frames=3)
    return PretrainConfig(model, DataConfig(str(folder / "percepts")), TRAINING)


def finetune_config(folder, init="", **data):
    model = ClassifierConfig(units=(3,), block_frames=4, block_stride=4)
    return FinetuneConfig(model, DataConfig(str(folder / "percepts"), **data), TrainingConfig(**STEPS), str(init))


def never(config, hashed):
    raise AssertionError("data and model are not to be built")


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class NoTraining:
    """In place of the training loop: one step that changes nothing."""

    seen = ()

    def __init__(self, *_, **__):
        self.restore = lambda: 0

    def fit(self, batches, progress=None):
        for look in self.seen:
            look()
        return {"step": 2}


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    monkeypatch.setattr(module, "TrainingLoop", NoTraining)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_folder_in_use_is_refused_before_anything_is_built(workplace, dry_run):
    out = workplace / "composite"
    with exclusive(out), pytest.raises(OutputError, match="another process is writing there"):
        module.run_job(never, pretrain_config(workplace), out, resume=True, dry_run=dry_run)


def test_a_folder_is_kept_from_others_while_it_is_written(made, tmp_path, monkeypatch):
    def look():
        with pytest.raises(OutputError, match="another process"), exclusive(tmp_path / "run"):
            pass
        looked.append(True)

    looked = []
    monkeypatch.setattr(NoTraining, "seen", [look])
    pretrain(pretrain_config(made), tmp_path / "run")
    assert looked == [True]


def test_repeats_are_kept_from_others_together(made, tmp_path):
    config = finetune_config(made, videos_per_class=2)
    (tmp_path / "runs").mkdir()
    with exclusive(tmp_path / "runs"), pytest.raises(OutputError, match="another process"):
        finetune(config, tmp_path / "runs", repeats=2)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_repeat_that_is_there_is_told_before_the_first_begins(made, tmp_path):
    config = finetune_config(made, videos_per_class=2)
    shutil.copytree(made / "composite", tmp_path / "runs" / "repeat-1")
    with pytest.raises(RunError, match=r"repeat-1, which holds a run"):
        finetune(config, tmp_path / "runs", repeats=2)
    assert not (tmp_path / "runs" / "repeat-0").exists()


def test_reading_a_run_that_is_being_written_is_no_conflict(made, tmp_path):
    with exclusive(made / "composite"), exclusive(made / "percepts"):
        finetune(finetune_config(made, made / "composite"), tmp_path / "run")


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_run_that_cannot_be_prepared_leaves_no_folder(tmp_path, dry_run):
    with pytest.raises(ShardError):
        pretrain(pretrain_config(tmp_path), tmp_path / "new" / "run", dry_run=dry_run)
    assert list(tmp_path.iterdir()) == []


def test_overwriting_waits_until_the_new_run_can_be_built(workplace):
    before = files(workplace / "composite")
    with pytest.raises(ShardError):
        pretrain(pretrain_config(workplace / "nothing"), workplace / "composite", overwrite=True)
    assert files(workplace / "composite") == before


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("place", ["composite", "link", ".", "composite/classifier", "percepts/run"])
def test_a_run_does_not_go_where_it_reads(workplace, place, dry_run):
    (workplace / "link").symlink_to(workplace / "composite")
    if place == ".":
        shutil.copy(workplace / "composite" / "config.json", workplace)
    before = files(workplace)
    config = finetune_config(workplace, workplace / "composite")
    with pytest.raises(OutputError, match="expected --out"):
        finetune(config, workplace / place, overwrite=place in ("composite", "link", "."), dry_run=dry_run)
    assert files(workplace) == before


def test_resuming_on_rebuilt_shards_is_refused_with_both_hashes(workplace):
    config = pretrain_config(workplace)
    pretrain(config, workplace / "run")
    begun = files(workplace / "run")
    old = load_run(workplace / "run").provenance["data"]["manifest_sha256"]
    shutil.rmtree(workplace / "percepts")
    write_percepts(workplace / "percepts", seed=1)
    new = hashlib.sha256((workplace / "percepts" / "dataset.json").read_bytes()).hexdigest()
    for dry_run in (True, False):
        with pytest.raises(RunError, match=rf"(?s){old}.*{new}"):
            pretrain(config, workplace / "run", resume=True, dry_run=dry_run)
    assert files(workplace / "run") == begun


def test_resuming_from_another_pretrained_model_is_refused_with_both_hashes(workplace):
    config = finetune_config(workplace, workplace / "composite")
    finetune(config, workplace / "run")
    recorded = load_run(workplace / "run").provenance["init"]
    model = workplace / "composite" / "model.keras"
    assert recorded["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert recorded["provenance"] == load_run(workplace / "composite").provenance
    (workplace / "run" / "model.keras").unlink()
    finetune(config, workplace / "run", resume=True)
    other = dataclasses.replace(TRAINING, seed=5)
    pretrain(dataclasses.replace(pretrain_config(workplace), training=other), workplace / "composite", overwrite=True)
    new = hashlib.sha256(model.read_bytes()).hexdigest()
    with pytest.raises(RunError, match=rf"init\.model_sha256 = '{recorded['model_sha256']}'.*{new}"):
        finetune(config, workplace / "run", resume=True)


def test_other_versions_are_told_and_kept_beside_the_first(workplace, monkeypatch):
    config, out = pretrain_config(workplace), workplace / "run"
    pretrain(config, out)
    first, sentences = load_run(out).provenance, []
    versions = provenance.versions()
    for number in ("9.1", "9.1", "9.2"):
        monkeypatch.setattr(provenance, "versions", lambda number=number: versions | {"keras": number})
        (out / "model.keras").unlink()
        with warnings.catch_warnings(record=True, action="always") as told:
            pretrain(config, out, resume=True)
        sentences.append([str(each.message) for each in told if each.category is VideorepWarning])
    now = load_run(out).provenance
    assert now.pop("resumed_with") == [versions | {"keras": "9.1"}, versions | {"keras": "9.2"}]
    assert now == first
    assert [len(each) for each in sentences] == [1, 0, 1] and "keras 9.1, now 9.2" in sentences[2][0]


@pytest.mark.parametrize("text", [None, "{}", '{"versions": 3}', "garbage"])
def test_a_run_whose_provenance_is_lost_does_not_go_on(workplace, text):
    out = workplace / "run"
    pretrain(pretrain_config(workplace), out)
    if text is None:
        (out / "provenance.json").unlink()
    else:
        (out / "provenance.json").write_text(text)
    with pytest.raises(RunError, match=r"provenance|data"):
        pretrain(pretrain_config(workplace), out, resume=True)


def test_a_run_killed_before_its_first_checkpoint_starts_afresh(workplace):
    out = workplace / "run"
    pretrain(pretrain_config(workplace), out)
    whole = files(out)
    for path in out.iterdir():
        if path.name != "config.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    pretrain(pretrain_config(workplace), out, resume=True)
    assert json.loads(files(out)["provenance.json"]) == json.loads(whole["provenance.json"])


def test_finetuning_on_clips_says_that_percepts_may_have_been_forgotten(tmp_path):
    sizes = ((8, 8), (8, 10)), ((160, 160), (160, 160))
    for number, shapes in enumerate(sizes):
        videos = [{"frames": np.zeros((4, *shape, 3), np.uint8), "label": "ab"[n]} for n, shape in enumerate(shapes)]
        write_shards({"train": videos}, tmp_path / str(number))
        config = FinetuneConfig(data=DataConfig(str(tmp_path / str(number))))
        with pytest.raises((ShardError, ConfigError), match=r"build-shards percepts.*--size"):
            finetune(config, tmp_path / "run")


def test_repeats_are_foretold_once(made, tmp_path, monkeypatch):
    foretold = []
    monkeypatch.setattr(module, "forecast", lambda job: foretold.append(job) or {"memory": "1 MiB"})
    told = finetune(finetune_config(made, videos_per_class=2), tmp_path / "run", repeats=3, dry_run=True)
    assert len(foretold) == 1 and told["forecast_of_each"] == {"memory": "1 MiB"}
    assert len(told["repeats"]) == 3 and not (tmp_path / "run").exists()


@pytest.mark.parametrize("choices", [{}, {"resume": True}, {"overwrite": True}])
def test_of_a_run_that_another_process_trains_that_is_what_is_told(made, tmp_path, choices):
    out = tmp_path / "run"
    create_run(out, pretrain_config(made))
    with exclusive(out), pytest.raises(OutputError, match="another process is writing there"):
        pretrain(pretrain_config(made), out, **choices)
