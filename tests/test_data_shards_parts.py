"""Builds in parts: processes write into one folder at once, die, are given again, and end with the bytes of one."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from command_line import fails
from generated_videos import make_classes
from shard_building import BuildError, build, build_until, folder_bytes, make_outcome, make_recipe

from videorep.build_config import FINISH, ClipsConfig, Part
from videorep.data.shards import build as builder
from videorep.data.shards.parts import carry_out
from videorep.data.shards.plan import Work
from videorep.data.videos.build import build_clips
from videorep.errors import DataError, OutputError, ShardError
from videorep.locking import exclusive

SCRIPT = """
import sys
from videorep.build_config import ClipsConfig, Part
from videorep.data.videos import build, encode, job
job.CLIPS_PER_SHARD = 2
config = ClipsConfig(labels="folders", split=0.7, workers=1)
build.build_clips(sys.argv[1], sys.argv[2], config, part=Part(int(sys.argv[3]), 3))
"""


@pytest.fixture
def few_clips_per_shard(monkeypatch):
    monkeypatch.setattr("videorep.data.videos.job.CLIPS_PER_SHARD", 2)


def start(videos, out, number):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, videos, out, str(number)], env=environment)


def test_three_processes_of_which_one_is_killed_and_given_again_make_the_bytes_of_one(tmp_path, few_clips_per_shard):
    videos, out = make_classes(tmp_path / "v", videos=6, frames=40), tmp_path / "out"
    (videos / "nod" / "2.mp4").write_bytes(b"no video")
    config = ClipsConfig(labels="folders", split=0.7, workers=1)
    build_clips(videos, tmp_path / "whole", config)
    parts = [start(videos, out, number) for number in (1, 2, 3)]
    while parts[1].poll() is None and not list((out / ".build").glob("part-2-of-3")):
        time.sleep(0.001)
    time.sleep(0.02)
    parts[1].send_signal(signal.SIGKILL)
    assert [part.wait() for part in parts] == [0, -signal.SIGKILL, 0]
    with pytest.raises(ShardError, match=r"9 shards of the plan .* give these parts again, then --finish: 2/3$"):
        build_clips(videos, out, config, part=FINISH)
    assert not (out / "dataset.json").exists()
    assert start(videos, out, 2).wait() == 0
    build_clips(videos, out, config, part=FINISH)
    assert folder_bytes(out) == folder_bytes(tmp_path / "whole")
    assert b"unreadable: " in folder_bytes(out)["dataset.json"]


def in_part(out, part, kind="clips", per_shard=2, process=None):
    """A part of what `shard_building.build` makes."""
    recipe = make_recipe(kind, per_shard)

    def make(pending):
        return (make_outcome(source, kind) for task in pending for source in task.sources)

    @contextlib.contextmanager
    def open_work(progress):
        yield Work(recipe, process or make, None, dict)

    return carry_out(open_work, out, part=part)


@pytest.mark.parametrize(("kind", "parts"), [("clips", 3), ("percepts", 5), ("clips", 40)])
def test_parts_write_every_shard_once_in_any_order_and_finish_as_one_process_does(tmp_path, kind, parts):
    build(tmp_path / "whole", kind)
    told = [in_part(tmp_path / "out", Part(number, parts), kind) for number in reversed(range(1, parts + 1))]
    assert sum(each["shards"] for each in told) == 12 and not (tmp_path / "out" / "dataset.json").exists()
    in_part(tmp_path / "out", FINISH, kind)
    assert folder_bytes(tmp_path / "out") == folder_bytes(tmp_path / "whole")
    again = in_part(tmp_path / "out", Part(1, parts), kind)  # finds a finished dataset and leaves it
    assert again.kind == kind and folder_bytes(tmp_path / "out") == folder_bytes(tmp_path / "whole")


def test_a_part_that_failed_goes_on_with_what_it_lacks_and_so_does_a_whole_build(tmp_path, whole_build):
    made = []

    def fail(pending):
        for task in pending:
            made.append(task)
            if len(made) == 2:
                raise BuildError
            yield from map(make_outcome, task.sources)

    with pytest.raises(BuildError):
        in_part(tmp_path / "out", Part(1, 2), process=fail)
    with pytest.raises(ShardError, match=r"received 1; give these parts again, then --finish: 1/2, 2/2$"):
        in_part(tmp_path / "out", FINISH)
    made.append(None)
    in_part(tmp_path / "out", Part(1, 2), process=fail)
    assert len(made) == 8, "two, and of its six shards the five that it lacked"
    build(tmp_path / "out", resume=True)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole_build)


def test_parts_live_together_but_not_with_themselves_a_whole_build_or_the_end(tmp_path):
    out = tmp_path / "out"

    def meet(pending):
        in_part(out, Part(2, 3))
        for refused in (Part(1, 3), FINISH):
            with pytest.raises(OutputError, match="another process is writing there"):
                in_part(out, refused)
        with pytest.raises(OutputError, match="another process is writing there"):
            build(out, resume=True)
        return (make_outcome(source) for task in pending for source in task.sources)

    in_part(out, Part(1, 3), process=meet)
    with exclusive(out), pytest.raises(OutputError, match="another process is writing there"):
        in_part(out, Part(3, 3))
    in_part(out, Part(3, 3))
    in_part(out, FINISH)


def test_a_part_of_another_plan_or_with_other_versions_is_refused(tmp_path, monkeypatch):
    in_part(tmp_path / "out", Part(1, 2))
    before = folder_bytes(tmp_path / "out")
    with pytest.raises(ShardError, match=r"the inputs and options .*; give every part the same, or remove the folder"):
        in_part(tmp_path / "out", Part(2, 2), per_shard=3)
    monkeypatch.setattr(builder, "PACKAGES", ("click",))
    with pytest.raises(ShardError, match="the versions that"):
        in_part(tmp_path / "out", Part(2, 2))
    assert folder_bytes(tmp_path / "out") == before


def test_finishing_what_was_not_begun_leaves_nothing_and_parts_go_on_with_a_whole_build(tmp_path, whole_build):
    with pytest.raises(ShardError, match=r"received nothing.*; write them with --part 1/N to N/N"):
        in_part(tmp_path / "out", FINISH)
    assert not (tmp_path / "out").exists()
    with pytest.raises(BuildError):
        build_until(tmp_path / "out", 7)
    in_part(tmp_path / "out", Part(1, 1))
    in_part(tmp_path / "out", FINISH)
    assert folder_bytes(tmp_path / "out") == folder_bytes(whole_build)


def test_finishing_too_early_leaves_what_the_parts_were_begun_with(tmp_path):
    out = tmp_path / "out"
    assert in_part(out, Part(13, 13))["shards"] == 0
    before = folder_bytes(out)
    for _ in range(2):
        with pytest.raises(ShardError, match=r"give these parts again, then --finish: 1/13, 2/13"):
            in_part(out, FINISH)
    assert folder_bytes(out) == before != {}


def test_bad_videos_are_counted_over_all_parts_and_a_part_ends_when_it_is_certain(tmp_path, few_clips_per_shard):
    videos = make_classes(tmp_path / "v", ("bow",), videos=6)
    for number in range(4):
        (videos / "bow" / f"{number}.mp4").write_bytes(b"no video %d" % number)
    config = ClipsConfig(workers=1, max_bad_fraction=0.5)
    for number in (1, 2, 3):
        build_clips(videos, tmp_path / "out", config, part=Part(number, 3))
    with pytest.raises(DataError, match="expected at most 50% of 6 videos to be bad, received 4"):
        build_clips(videos, tmp_path / "out", config, part=FINISH)
    with pytest.raises(DataError, match="expected at most 10% of 6 videos"):
        for number in (1, 2, 3):
            build_clips(videos, tmp_path / "o", ClipsConfig(workers=1, max_bad_fraction=0.1), part=Part(number, 3))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--part", "0/3"], "from 1/N to N/N"),
        (["--part", "4/3"], "from 1/N to N/N"),
        (["--part", "half"], "expected I/N such as 2/3, received 'half'"),
        (["--part", "1/2", "--finish"], "one of --part, --finish and --runner beam"),
        (["--finish", "--overwrite"], "remove the folder first"),
        (["more"], "Got unexpected extra arguments (more); options of Beam need --runner beam"),
    ],
)
def test_what_makes_no_sense_is_bad_usage(tmp_path, options, said):
    status, message = fails("build-shards", "clips", tmp_path, "--out", tmp_path / "out", *options)
    assert status == 2 and said in " ".join(message.split())
