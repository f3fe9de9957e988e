"""Builds of clips end with the same bytes, whoever decodes and whatever interrupts them."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from generated_videos import make_classes
from shard_building import count_outcomes, folder_bytes, with_options

from videorep.build_config import ClipsConfig
from videorep.data.shards.manifest import load_dataset
from videorep.data.videos import build, job
from videorep.progress import SilentProgress

build_clips = with_options(build.build_clips, ClipsConfig)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Class folders with a bad video, and what an uninterrupted build by one worker makes of them."""
    root = tmp_path_factory.mktemp("reference")
    videos = make_classes(root / "v", videos=6)
    (videos / "nod" / "2.mp4").write_bytes(b"no video")
    build_quickly(videos, root / "out", workers=1)
    return videos, folder_bytes(root / "out")


def build_quickly(videos, out, workers, **options):
    """A build of many shards of 2 clips each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "CLIPS_PER_SHARD", 2)
        return build_clips(videos, out, labels="folders", split=0.7, workers=workers, resume=True, **options)


def test_the_number_of_workers_changes_nothing(tmp_path, reference):
    videos, expected = reference
    build_quickly(videos, tmp_path / "out", workers=3)
    assert folder_bytes(tmp_path / "out") == expected
    assert len(expected) == 10, "6 + 3 shards and dataset.json"


class Interruption(SilentProgress):
    """Ctrl-C after some videos."""

    def __init__(self, after):
        self.after = after

    @contextlib.contextmanager
    def task(self, *arguments, **options):
        def advance(count, note=""):
            self.after -= count
            if self.after < 0:
                raise KeyboardInterrupt

        yield advance


@pytest.mark.parametrize("workers", [1, 2])
def test_a_build_that_is_interrupted_and_resumed_ends_with_the_same_bytes(tmp_path, reference, workers):
    videos, expected = reference
    for after in (5, 0, 3, 2):
        with pytest.raises(KeyboardInterrupt):
            build_quickly(videos, tmp_path / "out", workers, progress=Interruption(after))
        assert not (tmp_path / "out" / "dataset.json").exists()
    build_quickly(videos, tmp_path / "out", workers)
    assert folder_bytes(tmp_path / "out") == expected


SCRIPT = """
import sys
from videorep.build_config import ClipsConfig
from videorep.data.videos import build, job
job.CLIPS_PER_SHARD = 2
config = ClipsConfig(labels="folders", split=0.7, workers=int(sys.argv[3]))
build.build_clips(sys.argv[1], sys.argv[2], config, resume=True)
"""


def kill_and_resume(videos, out, workers, shards):
    """Kills the build when it has made that many more shards, for each number given."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", SCRIPT, videos, out, str(workers)]
    for more in shards:
        wanted = len(list(out.glob("*.tfrecord-*"))) + more
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as build:
            while build.poll() is None and len(list(out.glob("*.tfrecord-*"))) < wanted:
                time.sleep(0.001)
            build.send_signal(signal.SIGKILL)
    build_quickly(videos, out, workers)


def test_a_build_that_is_killed_and_resumed_ends_with_the_same_bytes(tmp_path, reference):
    videos, expected = reference
    kill_and_resume(videos, tmp_path / "out", 2, [3])
    assert folder_bytes(tmp_path / "out") == expected


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_build_that_is_killed_at_ten_moments_ends_with_the_same_bytes(tmp_path, reference, workers):
    videos, expected = reference
    kill_and_resume(videos, tmp_path / "out", workers, [1, 0, 1, 0, 1, 1, 0, 1, 1, 0])
    assert folder_bytes(tmp_path / "out") == expected


def test_a_bad_video_is_listed_and_nothing_takes_its_place(reference):
    dataset = load_dataset(reference[0].parent / "out")
    (bad,) = [source for source in dataset.sources if source["status"] == "left out"]
    assert bad["path"] == "nod/2.mp4" and bad["reason"].startswith("unreadable: ") and bad["records"] == 0
    assert sum(shard.records for shards in dataset.splits.values() for shard in shards) == 17
    assert count_outcomes(dataset) == {"written": 17, "partial": 0, "left_out": {"unreadable": 1}}
