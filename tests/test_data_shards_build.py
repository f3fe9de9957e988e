"""Builds of shards: what they leave, whoever does the work, and what does not fit together."""

import json
import struct
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from shard_building import (
    LABELS,
    LEFT_OUT,
    BuildError,
    build,
    build_until,
    folder_bytes,
    make_outcome,
    make_recipe,
    make_sources,
)

from videorep.data.shards.build import build_dataset
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.plan import Outcome, Recipe, Source
from videorep.data.shards.records import Clip
from videorep.errors import DataError, ShardError


def walk(path):
    """The data of every record of a TFRecord file, by its framing alone: [(offset, data, stored CRC)]."""
    content, records, offset = path.read_bytes(), [], 0
    while offset < len(content):
        (length,) = struct.unpack_from("<Q", content, offset)
        data = content[offset + 12 : offset + 12 + length]
        records.append((offset, data, struct.unpack_from("<I", content, offset + 12 + length)[0]))
        offset += 16 + length
    return records


def test_a_build_leaves_shards_with_their_names_and_dataset_json(whole_build):
    expected = {f"toy-train.tfrecord-{n:05d}-of-00009" for n in range(9)}
    expected |= {f"toy-test.tfrecord-{n:05d}-of-00003" for n in range(3)}
    assert set(folder_bytes(whole_build)) == expected | {"dataset.json"}


def test_dataset_json_counts_hashes_and_locates_every_record(whole_build):
    manifest = json.loads((whole_build / "dataset.json").read_text())
    assert manifest["schema_version"] == 1 and manifest["kind"] == "clips" and manifest["labels"] == LABELS
    assert (manifest["height"], manifest["width"], manifest["channels"], manifest["frame_rate"]) == (24, 32, 3, 25.0)
    for shards in manifest["splits"].values():
        for shard in shards:
            path = whole_build / shard["file"]
            records = walk(path)
            digest = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
            assert (shard["records"], shard["bytes"], shard["sha256"]) == (len(records), path.stat().st_size, digest)
            assert shard["index"]["offset"] == [offset for offset, _, _ in records]
            assert shard["index"]["crc"] == [crc for _, _, crc in records]
            for (_, data, _), frames, label in zip(
                records, shard["index"]["frames"], shard["index"]["label"], strict=True
            ):
                example = tf.train.SequenceExample.FromString(data)
                assert len(example.feature_lists.feature_list["image/encoded"].feature) == frames
                assert example.context.feature["clip/label/index"].int64_list.value[0] == label


def test_every_source_is_written_or_left_out_with_its_reason(whole_build):
    sources = json.loads((whole_build / "dataset.json").read_text())["sources"]
    assert sorted(source["path"] for source in sources) == sorted(source.path for source in make_sources())
    left_out = [source for source in sources if source["status"] == "left out"]
    assert [(source["path"], source["reason"]) for source in left_out] == [(f"video {LEFT_OUT:02d}.avi", "no frames")]
    assert all(source["records"] == 1 and len(source["sha256"]) == 64 for source in sources if source not in left_out)


def test_records_keep_the_order_of_the_plan(whole_build):
    for split in ("train", "test"):
        expected = [s.path for s in make_sources() if s.split == split and s.path != f"video {LEFT_OUT:02d}.avi"]
        files = [str(path) for path in load_dataset(whole_build).paths(split)]
        parsed = [tf.train.SequenceExample.FromString(r.numpy()) for r in tf.data.TFRecordDataset(files)]
        assert [p.context.feature["clip/data_path"].bytes_list.value[0].decode() for p in parsed] == expected
        index = load_dataset(whole_build).index(split)
        assert [load_dataset(whole_build).sources[number]["path"] for number in index["source"]] == expected
        assert [len(p.feature_lists.feature_list["image/encoded"].feature) for p in parsed] == index["frames"].tolist()


def test_percept_payloads_lie_where_the_index_says(tmp_path):
    dataset = build(tmp_path / "p", "percepts")
    assert (dataset.features, dataset.dtype, dataset.compression) == (6, "float16", "")
    for split in dataset.splits:
        expected = [make_outcome(s, "percepts") for s in make_sources() if s.split == split]
        arrays = [outcome.records[0].array for outcome in expected if outcome.records]
        for row, array in zip(dataset.index(split), arrays, strict=True):
            content = dataset.paths(split)[row["shard"]].read_bytes()
            assert content[row["payload"] : row["payload"] + array.nbytes] == array.tobytes()


def test_statistics_are_those_of_the_training_frames(tmp_path):
    dataset = build(tmp_path / "p", "percepts")
    outcomes = [make_outcome(s, "percepts") for s in make_sources() if s.split == "train"]
    frames = np.concatenate([o.records[0].array for o in outcomes if o.records]).astype(np.float64)
    statistics = dataset.statistics
    assert statistics["split"] == "train" and statistics["frames"] == len(frames)
    np.testing.assert_allclose(statistics["mean"], frames.mean(0), rtol=1e-6)
    np.testing.assert_allclose(statistics["deviation"], frames.std(0), rtol=1e-6)
    np.testing.assert_allclose(statistics["zeros"], (frames == 0).mean(0), rtol=1e-6)


@pytest.mark.parametrize(("kind", "workers"), [("clips", 3), ("percepts", 2)])
def test_the_number_of_workers_does_not_change_a_byte(tmp_path, kind, workers):
    build(tmp_path / "one", kind)
    build(tmp_path / "many", kind, workers=workers, pause=0.001)
    assert folder_bytes(tmp_path / "one") == folder_bytes(tmp_path / "many")


def test_check_sees_finished_sources_before_and_all_at_the_end(tmp_path):
    seen = []
    with pytest.raises(BuildError):
        build_until(tmp_path / "out", 7, check=lambda entries: seen.append(len(entries)))
    build(tmp_path / "out", resume=True, check=lambda entries: seen.append(len(entries)))
    assert seen == [6, 24]


def test_sources_that_yield_nothing_at_all_are_a_data_error(tmp_path):
    def process(pending):
        return (Outcome(source, [], "no frames") for task in pending for source in task.sources)

    with pytest.raises(DataError, match="no frames"):
        build_dataset(tmp_path / "out", make_recipe(), process)
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="at least one"):
        build_dataset(tmp_path / "out", Recipe("toy", "clips", {}), process)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_labels_is_refused(tmp_path, label):
    source = Source("a", "train", label)
    clip = Clip([b"\xff\xd8"], [0], 1, 1, 25.0, "a", label, "x")
    with pytest.raises(ShardError, match="label index below 3"):
        recipe = Recipe("toy", "clips", {"train": [[source]]}, LABELS)
        build_dataset(tmp_path / "out", recipe, lambda _: [Outcome(source, [clip])])
