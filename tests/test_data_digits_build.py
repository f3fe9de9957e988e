"""Moving MNIST as shards: the same sequences, resumable, the same bytes at the end."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from shard_building import with_options

import videorep
from videorep.build_config import MovingMNISTConfig
from videorep.config import DataConfig
from videorep.data import MovingMNIST, read_shards
from videorep.data.batches.sources import open_source
from videorep.data.digits import build as digits_build
from videorep.data.shards.summary import summarize_dataset
from videorep.data.shards.verify import verify_dataset
from videorep.errors import ConfigError, OutputError

build_moving_mnist = with_options(digits_build.build_moving_mnist, MovingMNISTConfig)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(digits_build, "BLOCK_SEQUENCES", 3)
    monkeypatch.setattr(digits_build, "BLOCKS_PER_SHARD", 2)


def contents(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_shards_hold_the_generated_sequences(tmp_path):
    dataset = build_moving_mnist(tmp_path / "shards", count=8, frames=5, seed=3)
    assert (dataset.kind, dataset.height, dataset.width) == ("clips", 64, 64)
    assert {split: sum(shard.records for shard in shards) for split, shards in dataset.splits.items()} == {
        "train": 8,
        "validation": 8,
        "test": 8,
    }
    for split in dataset.splits:
        made = np.stack([clip["frames"][..., 0] for clip in read_shards(dataset.folder, split).as_numpy_iterator()])
        np.testing.assert_array_equal(made, MovingMNIST(frames=5, seed=3, split=split).sequences(0, 8))
    assert "not MNIST" in dataset.made["settings"]["splits"]["test"]["digits_origin"]
    assert verify_dataset(dataset.folder) == []


def test_shards_can_be_trained_on(tmp_path):
    build_moving_mnist(tmp_path / "shards", count=4, frames=6, splits=("train",))
    source = open_source(DataConfig(path=str(tmp_path / "shards")), "train", 6)
    assert (source.features, source.dtype, source.frame_shape) == (4096, "uint8", (64, 64, 1))
    batch = next(iter(source.training(2, seed=0)))["frames"].numpy()
    sequences = MovingMNIST(frames=6).sequences(0, 4).reshape(4, 6, 4096)
    assert all((sequences == frames).all(axis=(1, 2)).any() for frames in batch)


def test_an_interrupted_build_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    whole = build_moving_mnist(tmp_path / "whole", count=20, frames=2)
    encode, left = digits_build._encode, iter(range(30))

    def fail_later(path, frames):
        if next(left, None) is None:
            raise OSError("interrupted")
        return encode(path, frames)

    monkeypatch.setattr(digits_build, "_encode", fail_later)
    with pytest.raises(OSError, match="interrupted"):
        build_moving_mnist(tmp_path / "parts", count=20, frames=2)
    monkeypatch.setattr(digits_build, "_encode", encode)
    with pytest.raises(OutputError, match="--resume"):
        build_moving_mnist(tmp_path / "parts", count=20, frames=2)
    build_moving_mnist(tmp_path / "parts", count=20, frames=2, resume=True)
    assert contents(tmp_path / "parts") == contents(whole.folder)


def test_a_count_of_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="count"):
        build_moving_mnist(tmp_path / "shards", count=0)
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize(
    "options", [{"count": 10**12}, {"num_digits": 10**9}, {"frames": 10**9}, {"seed": 10**400}, {"seed": -1}]
)
def test_huge_numbers_are_refused(tmp_path, options):
    (name,) = options
    with pytest.raises(ConfigError, match=name):
        build_moving_mnist(tmp_path / "shards", **{"count": 2, **options})
    assert not (tmp_path / "shards").exists()


def test_long_sequences_are_drawn_a_few_at_a_time_and_stay_the_same(tmp_path, monkeypatch):
    whole = build_moving_mnist(tmp_path / "whole", count=8, frames=5)
    monkeypatch.setattr(digits_build, "DRAWN_FRAMES", 7)
    build_moving_mnist(tmp_path / "parts", count=8, frames=5)
    assert contents(tmp_path / "parts") == contents(whole.folder)


def test_a_dry_run_counts_and_writes_nothing(tmp_path):
    plan = build_moving_mnist(tmp_path / "shards", count=40, dry_run=True)
    assert plan["sequences"] == dict.fromkeys(("train", "validation", "test"), 40)
    assert plan["shards"] == dict.fromkeys(("train", "validation", "test"), 7)
    assert not (tmp_path / "shards").exists()
    dataset = build_moving_mnist(tmp_path / "shards", count=40)
    real = sum(shard.bytes for shards in dataset.splits.values() for shard in shards)
    assert 0.6 * real < plan["bytes_about"] < 1.2 * real
    with pytest.raises(OutputError, match="finished shards"):
        build_moving_mnist(tmp_path / "shards", count=40, dry_run=True)


def test_records_are_called_sequences_and_not_counted_as_videos(tmp_path):
    build_moving_mnist(tmp_path / "shards", count=4, frames=2, splits=("train",))
    told = summarize_dataset(tmp_path / "shards")["splits"]["train"]
    assert told["sequences"] == 4 and "videos" not in told and "records" not in told


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_build_that_is_hung_up_or_terminated_says_one_sentence_and_resumes_to_the_same_bytes(tmp_path, number):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "videorep.cli.main", "build-shards", "moving-mnist", "--count", "4000", "--out"]
    environment = os.environ | {"PYTHONPATH": str(Path(videorep.__file__).parents[1])}
    with subprocess.Popen([*command, out], env=environment, stderr=subprocess.PIPE, text=True) as build:
        while build.poll() is None and not list(out.glob("*.tfrecord-*")):
            time.sleep(0.01)
        build.send_signal(number)
        told = build.communicate()[1]
    assert build.returncode == 128 + number and "Traceback" not in told
    assert told.splitlines()[-1].startswith("Interrupted")
    for place in (out, tmp_path / "whole"):
        subprocess.run([*command, place, "--resume"], env=environment, check=True, capture_output=True)
    assert contents(out) == contents(tmp_path / "whole")
