"""What a build of clips tells or refuses before it begins."""

import pytest
from generated_videos import make_classes
from shard_building import folder_bytes, with_options

from videorep.build_config import ClipsConfig
from videorep.data.videos import build
from videorep.errors import ConfigError, DataError, OutputError

build_clips = with_options(build.build_clips, ClipsConfig)


def test_a_dry_run_counts_and_writes_nothing(tmp_path):
    videos = make_classes(tmp_path / "v")
    (videos / "notes.txt").touch()
    plan = build_clips(videos, tmp_path / "out", labels="folders", split=0.5, dry_run=True)
    assert plan["clips"] == {"train": 6, "test": 6} and plan["shards"] == {"train": 1, "test": 1}
    assert plan["classes"] == 3 and plan["left_out"] == {"not a video": 1}
    assert not (tmp_path / "out").exists()


def test_a_dry_run_refuses_the_folders_that_a_build_would_refuse(tmp_path):
    videos = make_classes(tmp_path / "v", classes=("bow",), videos=1)
    build_clips(videos, tmp_path / "out", workers=1)
    with pytest.raises(OutputError, match="finished shards"):
        build_clips(videos, tmp_path / "out", dry_run=True)
    build_clips(videos, tmp_path / "out", dry_run=True, overwrite=True)
    with pytest.raises(OutputError, match="outside"):
        build_clips(videos, videos / "shards", dry_run=True)
    assert (tmp_path / "out" / "dataset.json").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"fps": 0},
        {"fps": -5},
        {"size": (0, 10)},
        {"size": (10,)},
        {"quality": 101},
        {"sample_seconds": 0},
        {"total_hours": 1},
        {"seed": -1},
        {"workers": 0},
        {"timeout": 0},
        {"max_bad_fraction": 1.5},
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options):
    (option,) = options
    with pytest.raises(ConfigError, match=f"expected {option} to be"):
        build_clips(tmp_path, tmp_path / "out", **options)


def test_what_is_there_is_not_overwritten_unasked(tmp_path):
    videos = make_classes(tmp_path / "v", classes=("bow",))
    build_clips(videos, tmp_path / "out")
    before = folder_bytes(tmp_path / "out")
    with pytest.raises(OutputError, match="--overwrite"):
        build_clips(videos, tmp_path / "out", seed=1)
    assert folder_bytes(tmp_path / "out") == before
    build_clips(videos, tmp_path / "out", seed=1, overwrite=True)
    assert folder_bytes(tmp_path / "out") != before


def test_a_dry_run_tells_about_how_many_bytes_the_shards_take(tmp_path):
    videos = make_classes(tmp_path / "v", videos=3, frames=30)
    plans = [build_clips(videos, tmp_path / "out", labels="folders", dry_run=True, workers=n)["bytes"] for n in (1, 2)]
    assert plans[0] == plans[1] and plans[0]["videos"] == sum(path.stat().st_size for path in videos.rglob("*.mp4"))
    for options, told in (({}, "shards_about"), ({"quality": 75}, "shards_with_--quality 75")):
        dataset = build_clips(videos, tmp_path / told, labels="folders", workers=1, **options)
        real = sum(shard.bytes for shards in dataset.splits.values() for shard in shards)
        assert 0.8 * real < plans[0][told] < 1.25 * real
    smaller = build_clips(videos, tmp_path / "out", labels="folders", dry_run=True, size=12, workers=1)["bytes"]
    assert smaller["shards_about"] < plans[0]["shards_about"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_a_build_would_refuse_is_refused_before_it_by_a_dry_run_too(tmp_path, dry_run):
    videos = make_classes(tmp_path / "v", classes=("bow",), videos=2)
    options = {"dry_run": dry_run, "workers": 1}
    with pytest.raises(DataError, match=r"expected a video to decode.*not named like v_Archery_g01_c01"):
        build_clips(videos, tmp_path / "out", labels="ucf101", **options)
    rows = [f"gone{number}.mp4,a\n" for number in range(3)]
    (tmp_path / "list.csv").write_text("".join(["path,label\n", *rows, "v/bow/0.mp4,a\n"]))
    with pytest.raises(DataError, match="3 missing"):
        build_clips(tmp_path / "list.csv", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_shards_lie_apart_from_the_videos(tmp_path):
    videos = make_classes(tmp_path / "v" / "inner", classes=("bow",), videos=1)
    for out in (videos, videos / "below", tmp_path / "v", tmp_path / "v" / "inner" / ".." / "inner" / "x"):
        with pytest.raises(OutputError, match="expected"):
            build_clips(videos, out)
    build_clips(videos, tmp_path / "v" / "inner2", workers=1)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": float("inf")},
        {"total_hours": float("inf")},
        {"sample_seconds": float("nan")},
        {"fps": 1e-310},
        {"workers": 10**6},
        {"seed": 10**400},
        {"size": 10**9},
    ],
)
def test_numbers_beyond_all_sense_are_refused(tmp_path, options):
    (option,) = options
    more = {"sample_seconds": 1} if option == "total_hours" else {}
    with pytest.raises(ConfigError, match=f"expected {option} to be"):
        build_clips(tmp_path, tmp_path / "out", **options, **more)
