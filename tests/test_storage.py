"""Paths and URLs: what each is, and shards on a file system of TensorFlow's (ram://) as on one of the machine."""

import importlib.util
import json
import os
import subprocess
import sys
import uuid

import numpy as np
import pytest
from shard_building import build, folder_bytes, make_outcome, make_sources

from videorep.config import DataConfig
from videorep.config_values import read_toml
from videorep.data import read_shards, write_shards
from videorep.data.batches.sources import open_source
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.summary import summarize_dataset
from videorep.data.shards.verify import verify_dataset
from videorep.data.videos.labels import list_videos
from videorep.errors import OutputError, ShardError, StorageError, VideorepError
from videorep.figures.contact_sheet import write_contact_sheet
from videorep.runs import create_run, load_run
from videorep.storage import RemotePath, fetch, locate, read_file, replacing

without_plugins = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_io") is not None, reason="tensorflow-io is installed, so URLs can be read"
)


@pytest.fixture
def url():
    """A folder that no other test knows, in the memory of the process."""
    return f"ram://{uuid.uuid4()}/shards"


def contents(folder):
    """{name: bytes} of a folder at a URL."""
    found = {}
    for path in locate(folder).iterdir():
        with path.open() as file:
            found[path.name] = file.read()
    return found


def damage(path, at=-10):
    """Turns one bit of a file at a URL."""
    with path.open() as file:
        content = bytearray(file.read())
    content[at] ^= 1
    path.unlink()  # ram:// writes behind what is there
    with path.open("wb") as file:
        file.write(bytes(content))


def test_a_path_is_a_path_and_a_url_is_a_url(tmp_path):
    assert locate(str(tmp_path)) == tmp_path == fetch(tmp_path)
    assert locate("ram://host/a/") == RemotePath("ram://host/a") == locate(locate("ram://host/a"))
    assert str(locate("ram:/host/a") / "b") == "ram://host/a/b"  # as pathlib leaves it
    assert locate("C:/videos").name == "videos"


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "large", "link to a fifo"])
def test_only_a_regular_file_of_a_bounded_size_is_read(tmp_path, kind):
    path = make_unreadable(tmp_path, kind)
    with pytest.raises(OSError, match=f"{path.name}|directory"):
        read_file(path, 1 << 20)


def test_two_who_write_the_same_file_at_once_leave_one_whole_file(tmp_path):
    path = tmp_path / "file"
    with replacing(path, shared=True) as one:
        one.write_text("one")
        with replacing(path, shared=True) as other:
            other.write_text("the other")
        assert path.read_text() == "the other"
        with pytest.raises(ValueError), replacing(path, shared=True) as third:
            third.write_text("half")
            raise ValueError
        assert path.read_text() == "the other"
    assert path.read_text() == "one" and list(tmp_path.iterdir()) == [path]


def test_a_file_as_large_as_is_allowed_is_read(tmp_path):
    (tmp_path / "text").write_bytes(b"12345")
    assert read_file(tmp_path / "text", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_file(tmp_path / "text", 4)


READERS = {
    "settings": read_toml,
    "CSV": lambda path: list_videos(path.parent / "videos", labels=path),
    "class names": lambda path: list_videos(path.parent / "videos", classes=path),
    "settings of a run": lambda path: load_run(path.parent),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["fifo", "device", "large"])
def test_what_is_no_file_of_text_is_one_sentence(tmp_path, reader, kind):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    path = make_unreadable(tmp_path, kind, "config.json")
    with pytest.raises(VideorepError, match=r"(?s)expected .*config\.json"):
        READERS[reader](path)


def make_unreadable(folder, kind, name="strange.csv"):
    """A path that must not be read to its end: a pipe that nobody writes to, a device, 30 GB of holes."""
    path = folder / name
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to a fifo":
        os.mkfifo(folder / "pipe")
        path.symlink_to(folder / "pipe")
    else:
        with open(path, "wb") as file:
            file.truncate(30 << 30)
    return path


@without_plugins
@pytest.mark.parametrize(
    "path", ["s3://bucket/shards", "S3://bucket/shards", "hdfs://host/shards", "az://account/container/shards"]
)
def test_urls_need_the_extra_and_no_folder_of_that_name_is_made(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    for attempt in (
        lambda: read_shards(path),
        lambda: verify_dataset(path),
        lambda: write_shards([{"frames": np.ones((1, 2), np.float32)}], path),
    ):
        with pytest.raises(StorageError, match=r"videorep\[remote\]"):
            attempt()
    assert list(tmp_path.iterdir()) == []


@without_plugins
@pytest.mark.parametrize(
    "arguments",
    [
        ["build-shards", "moving-mnist", "--out", "s3://bucket/shards", "--count", "1"],
        ["pretrain", "s3://bucket/shards", "--out", "run"],
        ["verify", "s3://bucket/shards"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_name_the_extra(tmp_path, arguments):
    command = [sys.executable, "-m", "videorep.cli.main", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("Error: expected") and "videorep[remote]" in done.stderr
    assert done.stderr.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_runs_stay_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="only shards may lie at a URL"):
        create_run("s3://bucket/run", None)
    assert list(tmp_path.iterdir()) == []


def test_a_build_at_a_url_has_the_bytes_of_one_in_a_folder(tmp_path, url):
    build(tmp_path / "here")
    dataset = build(url)
    assert contents(url) == folder_bytes(tmp_path / "here")
    assert dataset.provenance["path"] == url
    assert verify_dataset(url) == []
    assert summarize_dataset(url) | {"folder": ""} == summarize_dataset(tmp_path / "here") | {"folder": ""}


def test_what_was_written_to_a_url_is_read_back(tmp_path, url):
    frames = np.random.default_rng(0).integers(0, 256, (3, 5, 12, 16, 3), np.uint8)
    write_shards([{"frames": clip} for clip in frames], url, shards=2)
    np.testing.assert_array_equal([clip["frames"] for clip in read_shards(url).as_numpy_iterator()], frames)
    source = open_source(DataConfig(path=url, colour=True), "train", 5)
    batch = next(iter(source.evaluation(3, None)))["frames"]
    np.testing.assert_array_equal(np.reshape(batch, frames.shape), frames)
    write_contact_sheet(url, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


class _BuildError(Exception):
    """What a test raises in the middle of a build."""


def test_a_build_at_a_url_goes_on_where_it_was_stopped(tmp_path, url):
    asked = []

    def check(entries):
        asked.append(len(entries))

    def stop(source, *arguments):
        if source == make_sources()[9]:
            raise _BuildError
        return make_outcome(source, *arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(_BuildError):
        patch.setattr("shard_building.make_outcome", stop)
        build(url)
    with pytest.raises(ShardError, match="--resume"):
        load_dataset(url)
    with pytest.raises(OutputError, match=r"unfinished build.*--resume"):
        build(url)
    build(url, resume=True, check=check)
    assert 0 < asked[0] < asked[1] == 24
    build(tmp_path / "here")
    assert contents(url) == folder_bytes(tmp_path / "here")


def test_overwriting_and_failing_leave_nothing_of_the_old_build(url):
    build(url, per_shard=2)
    build(url, per_shard=3, overwrite=True)
    manifest = json.loads(contents(url)["dataset.json"])
    files = {shard["file"] for shards in manifest["splits"].values() for shard in shards}
    assert contents(url).keys() == files | {"dataset.json"}
    with pytest.raises(ShardError, match="--overwrite"):
        build(url, resume=True)


def test_damage_at_a_url_is_named(url):
    dataset = build(url)
    shard = dataset.shards("train")[2]
    damage(dataset.folder / shard.file)
    (problem,) = verify_dataset(url)
    assert problem.startswith(f"{shard.file}: record {shard.records - 1}: damaged")
    with pytest.raises(ShardError, match=rf"{url}/{shard.file} as the build wrote it.*record"):
        open_source(DataConfig(path=url), "train", 3)
    (dataset.folder / shard.file).unlink()
    with pytest.raises(ShardError, match=f"without {shard.file}"):
        read_shards(url)
    assert any(problem.startswith(f"{shard.file}: missing") for problem in verify_dataset(url))


def test_nothing_at_a_url_is_told(url):
    with pytest.raises(ShardError, match="nothing there; check the URL"):
        load_dataset(url)
