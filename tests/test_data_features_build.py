"""Features that others have made: which arrays become records, and whose labels they get."""

import hashlib

import numpy as np
import pytest
from feature_arrays import (
    FEATURES,
    build_features,
    classes_of,
    digests,
    make_folder,
    make_thumos,
    reasons,
    values,
    written,
)

from videorep.data.features import build
from videorep.data.features.find import name_video
from videorep.data.shards.read import read_shards
from videorep.data.shards.verify import verify_dataset
from videorep.errors import DataError, OutputError, ShardError


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "FEATURES")


@pytest.fixture
def thumos(tmp_path):
    return make_thumos(tmp_path / "THUMOS")


def test_every_array_becomes_the_record_of_its_video(folder, tmp_path):
    dataset = build_features(folder, tmp_path / "out", match="*_rgb.npy", labels="folders", dtype="float32")
    records = written(dataset)
    assert records.keys() == {f"{('clap', 'wave')[number % 2]}/v{number}" for number in range(8)}
    for path, record in records.items():
        np.testing.assert_array_equal(record["frames"], values(int(path[-1])))
        assert record["label_text"].decode() == path.split("/")[0]
        assert record["frame_rate"] == pytest.approx(1000 / 160)  # of rows, not of the video's frames
    assert (dataset.kind, dataset.features, dataset.dtype, dataset.labels) == (
        "percepts",
        FEATURES,
        "float32",
        ("clap", "wave"),
    )
    assert verify_dataset(dataset.folder) == []
    (entry,) = [source for source in dataset.sources if source["path"] == "wave/v3"]
    assert entry["file"] == "wave/v3_rgb.npy"
    assert entry["file_sha256"] == hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest()
    assert entry["sha256"] == ""  # nobody knows the video's: so streams of one video can be fused


@pytest.mark.parametrize(
    "name, match, video",
    [
        ("c/v_rgb.npy", "*_rgb.npy", "c/v"),
        ("rgb_anet/v.npy", "rgb_*/*.npy", "v"),
        ("train/rgb_anet/v.npy", "rgb_*/*.npy", "train/v"),
        ("c/v.1.npz", "*.np[yz]", "c/v.1"),
        ("c/rgb-v.npy", "rgb-*.npy", "c/v"),
    ],
)
def test_the_star_is_the_name_of_the_video(name, match, video):
    assert name_video(name, match) == video


def test_lists_name_videos_whatever_their_suffix(folder, tmp_path):
    (tmp_path / "list.csv").write_text(
        "clap/v0.avi,0,0.8,x\nclap/v0.avi,0.8,99,y\nwave/v1_rgb.npy,0,9,y\nv9.avi,0,9,x\n"
    )
    options = {"match": "*_rgb.npy", "labels": str(tmp_path / "list.csv"), "dtype": "float32"}
    dataset = build_features(folder, tmp_path / "out", **options)
    entries = {(each["path"], each["start"]): (each["reason"], each.get("frames")) for each in dataset.sources}
    assert entries == {
        ("clap/v0", 0.0): ("", 5),
        ("clap/v0", 0.8): ("", 4),
        ("wave/v1_rgb.npy", 0.0): ("missing: no such file", None),
        ("v9.avi", 0.0): ("missing: no such file", None),
    }
    pieces = [record for record in read_shards(tmp_path / "out").as_numpy_iterator()]
    pieces = sorted(pieces, key=lambda record: record["start"])
    np.testing.assert_array_equal(np.concatenate([piece["frames"] for piece in pieces]), values(0))


def test_official_lists_and_groups(tmp_path):
    folder, lists = tmp_path / "FEATURES", tmp_path / "LISTS"
    folder.mkdir(), lists.mkdir()
    names = [f"v_{label}_g{group:02d}_c01" for label in ("Archery", "Bowling") for group in (1, 2, 3)]
    for number, name in enumerate(names):
        np.save(folder / f"{name}_resnet.npy", values(number))
    (lists / "classInd.txt").write_text("1 Archery\n2 Bowling\n")
    (lists / "trainlist01.txt").write_text("".join(f"X/{n}.avi 1\n".replace("X", "Archery") for n in names[1:3]))
    (lists / "testlist01.txt").write_text(f"Archery/{names[0]}.avi\nBowling/{names[3]}.avi\n")
    options = {"match": "*_resnet.npy", "labels": "ucf101"}
    dataset = build_features(folder, tmp_path / "official", split=f"{lists}:1", **options)
    assert {source["path"]: source["split"] for source in dataset.sources if source["records"]} == {
        names[0]: "test",
        names[1]: "train",
        names[2]: "train",
        names[3]: "test",
    }
    shared = build_features(folder, tmp_path / "share", split=0.6, **options)
    assert {split: sum(shard.records for shard in shards) for split, shards in shared.splits.items()} == {
        "train": 4,
        "test": 2,
    }


def test_every_frame_gets_the_class_of_its_row(thumos, tmp_path):
    np.save(thumos / "target_perframe" / "video_4.npy", np.eye(3)[:2])
    (thumos / "target_perframe" / "video_5.npy").unlink()
    options = {"labels": str(thumos / "target_perframe"), "fps": 4.0, "split": 0.5}
    dataset = build_features(thumos / "rgb_x", tmp_path / "rgb", **options)
    assert (dataset.labels, dataset.frame_rate) == (("background", "1", "2"), 4.0)
    assert reasons(dataset) == {
        "video_4": "labels do not fit: (2, 3), where (24, 3) is expected",
        "video_5": "no label: no array of this name in the folder of --labels",
    }
    for path, record in written(dataset).items():
        assert record["frame_labels"].tolist() == classes_of(int(path[-1]), len(record["frames"]))
    (tmp_path / "names.txt").write_text("nothing\nrun\njump\n")
    options |= {"classes": str(tmp_path / "names.txt"), "match": "flow_*/*.npy"}
    other = build_features(thumos, tmp_path / "flow", **options)
    assert other.labels == ("nothing", "run", "jump") and written(other).keys() == written(dataset).keys()
    with pytest.raises(DataError, match=r"expected one array per video, received .*video_0.*--match 'rgb_"):
        build_features(thumos, tmp_path / "both", labels=str(thumos / "target_perframe"))


def test_folders_of_splits_hold_with_classes_of_frames(thumos, tmp_path):
    for number, split in enumerate(("train", "train", "test", "test", "train", "test")):
        place = tmp_path / "FEATURES" / split
        place.mkdir(parents=True, exist_ok=True)
        (place / f"video_{number}.npy").symlink_to(thumos / "rgb_x" / f"video_{number}.npy")
    dataset = build_features(tmp_path / "FEATURES", tmp_path / "out", labels=str(thumos / "target_perframe"))
    assert {source["path"].split("/")[0] for source in dataset.sources if source["split"] == "test"} == {"test"}
    assert [len(dataset.index(split)) for split in ("train", "test")] == [3, 3]


def test_segments_label_frames_by_their_times(folder, tmp_path):
    (folder / "actions.csv").write_text("clap/v0.avi,0.3,0.7,clapping\nwave/v1.avi,0,0.1,waving\n")
    dataset = build_features(folder / "actions.csv", tmp_path / "out", match="*_rgb.npy", labels="segments")
    assert dataset.labels == ("background", "clapping", "waving")
    labels = {path: record["frame_labels"].tolist() for path, record in written(dataset).items()}
    assert labels == {"clap/v0": [0, 0, 1, 1, 1, 0, 0, 0, 0], "wave/v1": [2, 0, 0, 0, 0, 0, 0, 0, 0]}  # 0.16 s each
    for path in folder.rglob("*_[ft]*.npy"):
        path.unlink()
    with pytest.raises(DataError, match="no frame rate: none beside the array; give --fps"):
        build_features(folder / "actions.csv", tmp_path / "none", match="*_rgb.npy", labels="segments")


def test_a_build_that_was_interrupted_ends_the_same(folder, tmp_path, monkeypatch):
    options = {"match": "*_rgb.npy", "labels": "folders", "split": 0.5, "resume": True}
    build_features(folder, tmp_path / "whole", **options)
    read, calls = build.read_features, []

    def interrupt(*arguments):
        calls.append(arguments)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return read(*arguments)

    monkeypatch.setattr(build, "read_features", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build_features(folder, tmp_path / "broken", **options)
    assert not (tmp_path / "broken" / "dataset.json").exists()
    build_features(folder, tmp_path / "broken", **options)
    assert len(calls) == 6 + 4, "the finished shard is kept"
    assert digests(tmp_path / "broken") == digests(tmp_path / "whole")
    with pytest.raises(ShardError, match="--overwrite"):
        build_features(folder, tmp_path / "broken", **options | {"dtype": "float32"})
    with pytest.raises(OutputError, match="finished shards"):
        build_features(folder, tmp_path / "broken", **options | {"resume": False})


def test_a_dry_run_writes_nothing(folder, tmp_path):
    (folder / "notes.txt").touch()
    told = build_features(folder, tmp_path / "out", match="*_rgb.npy", labels="folders", split=0.5, dry_run=True)
    assert told["videos"] == {"train": 4, "test": 4} and told["left_out"] == {"not a feature array": 1}
    assert not (tmp_path / "out").exists()
