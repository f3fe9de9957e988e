"""Builds on Apache Beam: the bytes of one process, whatever is killed, and every failure with its reason."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from generated_videos import make_classes
from shard_building import build, folder_bytes, make_outcome, make_recipe

pytest.importorskip("apache_beam")

from videorep.build_config import ClipsConfig
from videorep.data.shards import on_beam
from videorep.data.shards.parts import carry_out
from videorep.data.shards.plan import Work
from videorep.data.videos import job
from videorep.data.videos.build import build_clips
from videorep.errors import ConfigError, ShardError

SCRIPT = """
import functools, sys
from videorep.build_config import ClipsConfig
from videorep.data.shards.parts import carry_out

def open_few(videos, out, config, progress):
    from videorep.data.videos import build, job
    job.CLIPS_PER_SHARD = 2
    return build._open_work(videos, out, config, progress)

videos, out = sys.argv[1:]
config = ClipsConfig(labels="folders", split=0.7, workers=1)
beam = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
carry_out(functools.partial(open_few, videos, out, config), out, resume=True, beam=beam)
"""


def start(*arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=environment)


@pytest.mark.slow
def test_two_worker_processes_killed_and_given_again_make_the_bytes_of_one(tmp_path, monkeypatch):
    videos, out = make_classes(tmp_path / "v", videos=6), tmp_path / "out"
    (videos / "nod" / "2.mp4").write_bytes(b"no video")
    monkeypatch.setattr(job, "CLIPS_PER_SHARD", 2)
    build_clips(videos, tmp_path / "whole", ClipsConfig(labels="folders", split=0.7, workers=1))
    first = start(videos, out)
    while first.poll() is None and not list(out.glob("*.tfrecord-*")):
        time.sleep(0.001)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL and not (out / "dataset.json").exists()
    assert start(videos, out).wait() == 0
    assert folder_bytes(out) == folder_bytes(tmp_path / "whole")
    assert b"unreadable: " in folder_bytes(out)["dataset.json"]


@contextlib.contextmanager
def open_work(progress, failing=None):
    def process(pending):
        for task in pending:
            if task.index == failing:
                raise ShardError(f"expected another shard than {failing}")
            yield from map(make_outcome, task.sources)

    yield Work(make_recipe(), process, None, dict)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--no_such_option", "3"], "received --no_such_option 3, which its runner on this machine does not have"),
        (["--direct_running_mode", "bogus"], "received: argument --direct_running_mode: invalid choice: 'bogus'"),
    ],
)
def test_options_that_beam_does_not_have_are_refused_before_anything_is_read(tmp_path, options, said):
    with pytest.raises(ConfigError) as told:
        carry_out(None, tmp_path / "out", beam=options)
    assert said in str(told.value) and not (tmp_path / "out").exists()


def test_options_of_other_runners_are_left_to_these(tmp_path):
    on_beam.require_options(["--runner=FlinkRunner", "--flink_master=host:8081", "--of_the_job_server=1"])


def test_shards_that_cannot_be_built_are_told_with_their_reasons_and_the_others_stay(tmp_path, whole_build):
    def open_failing(progress):
        return open_work(progress, failing=1)

    options = ["--runner=FnApiRunner"]
    with pytest.raises(ShardError) as told:
        carry_out(open_failing, tmp_path / "out", beam=options)
    assert "expected 12 shards from Beam, 2 could not be built" in str(told.value)
    assert "toy-test.tfrecord-00001-of-00003: expected another shard than 1" in str(told.value)
    assert len(list((tmp_path / "out").glob("toy-*"))) == 10
    carry_out(open_work, tmp_path / "out", resume=True, beam=options)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole_build)
    build(tmp_path / "out", resume=True)
