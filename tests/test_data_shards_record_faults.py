"""What a record says beside what dataset.json says of it: one edit of a sound record, one phrase."""

import pytest
import tensorflow as tf
from shard_building import LABELS, build

from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.manifest_schema import HEADER_BYTES
from videorep.data.shards.record_faults import find_faults

OFFSET = 1000


@pytest.fixture(scope="module", params=["clips", "percepts"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def sound(kind, tmp_path_factory):
    """A dataset, its first record of the split train, and its number of frames and label."""
    folder = tmp_path_factory.mktemp(kind) / "shards"
    build(folder, kind)
    dataset = load_dataset(folder)
    shard = sorted(folder.glob("toy-train.tfrecord-*"))[0]
    message = tf.train.SequenceExample if kind == "clips" else tf.train.Example
    return dataset, message.FromString(next(iter(tf.data.TFRecordDataset(str(shard)))).numpy()), 3, 0


def faults_after(sound, edit, label=None):
    dataset, record, frames, stated = sound
    edited = type(record).FromString(record.SerializeToString())
    edit(edited)
    serialized, payload = edited.SerializeToString(), ()
    if dataset.kind == "percepts":
        array = edited.features.feature["percept/array"].bytes_list.value[0]
        payload = (OFFSET + HEADER_BYTES + serialized.index(array),)
    return find_faults(serialized, dataset, (OFFSET, frames, stated if label is None else label, *payload))


def context_of(record):
    return getattr(record, "context", None) or record.features


def clip_edit(change):
    return lambda record: change(record.context.feature, record.feature_lists.feature_list)


def swap_times(context, lists):
    first, second, *_ = lists["image/timestamp"].feature
    first.int64_list.value[0], second.int64_list.value[0] = second.int64_list.value[0], first.int64_list.value[0]


CLIP_EDITS = {
    "timestamps that do not rise frame by frame": swap_times,
    "an image that is not JPEG": lambda _, lists: (
        lists["image/encoded"].feature[1].bytes_list.value.__setitem__(0, b"GIF89a")
    ),
    "an image that is not WEBP": lambda context, _: context["image/format"].bytes_list.value.__setitem__(0, b"WEBP"),
    "image/height 25 where dataset.json says 24": lambda context, _: context[
        "image/height"
    ].int64_list.value.__setitem__(0, 25),
    "does not keep the schema: expected int64 under image/width, received float_list": lambda context, _: context[
        "image/width"
    ].float_list.value.append(32),
}
PERCEPT_EDITS = {
    "30 bytes of frames where its shape asks for 36": lambda features: features[
        "percept/array"
    ].bytes_list.value.__setitem__(0, features["percept/array"].bytes_list.value[0][:30]),
    "percept/dtype b'float64' where dataset.json says 'float16'": lambda features: features[
        "percept/dtype"
    ].bytes_list.value.__setitem__(0, b"float64"),
    "shape [6, 3], dataset.json says 3 frames of 6 features": lambda features: features[
        "percept/shape"
    ].int64_list.value.reverse(),
}


def test_a_sound_record_has_no_faults(sound):
    assert faults_after(sound, lambda record: None) == []


@pytest.mark.parametrize("kind", ["clips"], indirect=True)
@pytest.mark.parametrize("phrase", CLIP_EDITS)
def test_an_edited_clip_is_told(sound, phrase):
    assert faults_after(sound, clip_edit(CLIP_EDITS[phrase])) == [phrase]


@pytest.mark.parametrize("kind", ["percepts"], indirect=True)
@pytest.mark.parametrize("phrase", PERCEPT_EDITS)
def test_an_edited_percept_is_told(sound, phrase):
    assert faults_after(sound, lambda record: PERCEPT_EDITS[phrase](record.features.feature)) == [phrase]


def test_a_label_that_no_class_has_is_told(sound):
    def edit(record):
        context_of(record).feature["clip/label/index"].int64_list.value[0] = 99

    assert faults_after(sound, edit) == ["label 99 where dataset.json says 0"]
    assert faults_after(sound, edit, label=99) == [f"label 99 outside 0 to {len(LABELS) - 1}"]
