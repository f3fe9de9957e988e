"""Several folders mixed into one stream, and the check that none trains on what another tests on."""

import dataclasses

import numpy as np
import pytest

from videorep.config import DataConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.data import write_shards
from videorep.data.batches.several import require_no_leak
from videorep.data.batches.sources import ShardSource, open_source
from videorep.errors import ConfigError, OutputError, ShardError
from videorep.provenance import verify
from videorep.training.pretrain import pretrain

FRAMES = 4


def make_shards(folder, value, count, features=3, split="train", path="{number}"):
    records = [
        {"frames": np.full((FRAMES + number % 2, features), value, np.float32), "path": path.format(number=number)}
        for number in range(count)
    ]
    write_shards(records, folder, split=split)
    return str(folder)


@pytest.fixture
def folders(tmp_path):
    return [make_shards(tmp_path / f"{value}", value, count) for value, count in ((1, 6), (2, 3), (3, 1))]


def open_several(folders):
    return open_source(DataConfig(folders[0], tuple(folders[1:]), stride=1), "train", FRAMES)


def test_every_batch_holds_of_each_folder_its_share(folders):
    source = open_several(folders)
    assert source.windows == sum(ShardSource(DataConfig(each, stride=1), "train", FRAMES).windows for each in folders)
    sizes = [ShardSource(DataConfig(each, stride=1), "train", FRAMES).windows for each in folders]
    for batch_size in (3, 8, 20):
        batches = list(source.training(batch_size, seed=0).take(4))
        for batch in batches:
            values = batch["frames"].numpy()[:, 0, 0]
            counts = [int((values == value).sum()) for value in (1, 2, 3)]
            assert sum(counts) == batch_size and min(counts) >= 1
            wanted = [1 + (batch_size - 3) * size / sum(sizes) for size in sizes]
            assert np.abs(np.array(counts) - wanted).max() <= 1


def test_going_on_at_a_step_gives_the_batches_that_were_next(folders):
    source = open_several(folders)
    whole = [batch["frames"].numpy() for batch in source.training(7, seed=3).take(6)]
    rest = [batch["frames"].numpy() for batch in source.training(7, seed=3, start_step=4).take(2)]
    np.testing.assert_array_equal(whole[4:], rest)


def test_statistics_are_those_of_all_frames_by_sequences(folders):
    moments = open_several(folders).statistics()
    sizes = np.array([ShardSource(DataConfig(each, stride=1), "train", FRAMES).windows for each in folders])
    mean = (sizes * [1, 2, 3]).sum() / sizes.sum()
    deviation = np.sqrt((sizes * (np.array([1, 2, 3]) - mean) ** 2).sum() / sizes.sum())
    np.testing.assert_allclose(moments["mean"], np.full(3, mean), rtol=1e-6)
    np.testing.assert_allclose(moments["deviation"], np.full(3, deviation), rtol=1e-6)


def test_folders_of_other_frames_and_batches_that_are_too_small_are_refused(folders, tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"the frames of .*wide to be like those of .*, 3 features float32, received '5 features float32'",
    ):
        open_several([folders[0], make_shards(tmp_path / "wide", 1, 2, features=5)])
    with pytest.raises(ConfigError, match="at least 3, one example per folder"):
        open_several(folders).training(2, seed=0)
    with pytest.raises(ConfigError, match="moving-mnist alone, or shards"):
        open_source(DataConfig("moving-mnist", (folders[0],)), "train", FRAMES)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_recording_that_another_folder_tests_on_is_refused(tmp_path, split):
    train = make_shards(tmp_path / "train", 1, 2, path="v_Run_g01_c0{number}.avi")
    kept = make_shards(tmp_path / "kept", 1, 2, split=split, path="v_Run_g01_c1{number}.avi")
    other = make_shards(tmp_path / "other", 1, 2, split=split, path="v_Run_g02_c1{number}.avi")
    require_no_leak([train, other])
    with pytest.raises(ShardError, match=f"received the recording v_Run_g01 in .*{split}"):
        require_no_leak([train, kept])
    with pytest.raises(ShardError, match="the recording v_Run_g01"):
        open_several([train, kept])


def test_a_run_of_several_folders_names_and_verifies_them_all(folders, tmp_path):
    config = PretrainConfig(
        ModelConfig("autoencoder", units=(3,), input_frames=FRAMES),
        DataConfig(folders[0], tuple(folders[1:]), stride=1),
        PretrainTrainingConfig(steps=2, batch_size=4),
    )
    pretrain(config, tmp_path / "run")
    assert not verify(tmp_path / "run")[0]
    make = dataclasses.replace(config, data=dataclasses.replace(config.data, path=folders[2], also=(folders[0],)))
    with pytest.raises(OutputError, match="expected --out outside DATA 2"):
        pretrain(make, f"{folders[0]}/run")
    write_shards([{"frames": np.zeros((5, 3), np.float32)}], folders[2], overwrite=True)
    assert any(folders[2] in problem for problem in verify(tmp_path / "run")[0])
