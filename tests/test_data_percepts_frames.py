"""The stream of network inputs: the crop, the order, the padding, the flow stacks."""

import itertools

import cv2
import numpy as np
import pytest
from pictures import coloured_frame

from videorep.config import DataConfig
from videorep.data import read_shards
from videorep.data.batches.sources import open_source
from videorep.data.percepts import frames
from videorep.data.percepts.flow import flow_field
from videorep.data.percepts.frames import crop_centre, read_batches
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.record_reader import RecordReader
from videorep.data.shards.records import Clip
from videorep.data.shards.write import write_shards


def test_a_frame_of_the_papers_size_is_cropped_untouched():
    frame = coloured_frame(240, 320)
    np.testing.assert_array_equal(crop_centre(frame, 224), frame[8:232, 48:272])
    np.testing.assert_array_equal(crop_centre(frame.transpose(1, 0, 2), 224), frame[8:232, 48:272].transpose(1, 0, 2))


@pytest.mark.parametrize(("height", "width"), [(480, 640), (120, 160), (720, 1280), (320, 240), (231, 311)])
def test_other_sizes_are_scaled_to_a_shorter_side_of_240_first(height, width):
    jax = pytest.importorskip("jax", reason="the oracle is that of jax")
    frame = coloured_frame(height, width)
    scale = 240 / min(height, width)
    scaled = (round(height * scale), round(width * scale), 3)
    oracle = np.array(jax.image.resize(frame.astype(np.float32), scaled, "linear", antialias=True))
    top, left = (scaled[0] - 224) // 2, (scaled[1] - 224) // 2
    cropped = np.array(crop_centre(frame, 224))
    assert cropped.shape == (224, 224, 3)
    assert cropped.dtype == np.uint8
    assert np.abs(cropped - oracle[top : top + 224, left : left + 224]).max() < 0.6


def test_another_crop_keeps_the_papers_proportion():
    frame = coloured_frame(320, 400)
    np.testing.assert_array_equal(crop_centre(frame, 299), frame[10:309, 50:349])  # 299 * 15/14 = 320


def make_clips(lengths, size=(60, 80)):
    """Clips whose lower half drifts to the left, a pixel per frame faster in each clip."""
    texture = coloured_frame(200, 400)
    height, width = size

    def frame(start):
        return np.concatenate([texture[: height // 2, :width], texture[height // 2 : height, start : start + width]])

    return [
        np.stack([frame(number * speed) for number in range(length)]) for speed, length in enumerate(lengths, start=1)
    ]


def write_clips(clips, folder):
    dataset = write_shards([{"frames": clip} for clip in clips], folder, shards=2)
    return dataset.paths("train"), [sum(shard.index["frames"]) for shard in dataset.shards("train")]


def test_batches_cross_clips_but_not_shards(tmp_path):
    clips = make_clips([3, 4, 2, 3])
    files, counts = write_clips(clips, tmp_path / "clips")
    assert counts == [7, 5]
    batches = list(read_batches(files, counts, 4, 56))
    assert [batch.shape for batch in batches] == [(4, 56, 56, 3)] * 4
    cut = [np.array([frame[2:58, 12:68] for frame in clip]) for clip in clips]  # 56 * 15/14 = 60, the clips' height
    blank = np.zeros((1, 56, 56, 3), np.uint8)
    expected = np.concatenate([cut[0], cut[1], blank, cut[2], cut[3], blank, blank, blank])
    np.testing.assert_array_equal(np.concatenate(batches), expected)
    resumed = list(read_batches(files[1:], counts[1:], 4, 56))
    np.testing.assert_array_equal(np.concatenate(resumed), expected[8:])


def test_grey_clips_become_three_equal_channels(tmp_path):
    clips = [clip[..., :1] for clip in make_clips([2, 2])]
    files, counts = write_clips(clips, tmp_path / "clips")
    frame = next(read_batches(files, counts, 2, 56))[1]
    np.testing.assert_array_equal(frame, np.repeat(clips[0][1][2:58, 12:68], 3, axis=-1))


@pytest.mark.parametrize("flow_stack", [1, 3])
def test_flow_stacks_hold_the_fields_from_each_frame_on(tmp_path, flow_stack):
    clips = make_clips([5, 1, 2, 4])
    files, counts = write_clips(clips, tmp_path / "clips")
    batches = list(read_batches(files, counts, 4, 56, flow_stack))
    received = np.concatenate(batches)
    expected = []
    for clip in clips:
        fields = [flow_field(*pair) for pair in itertools.pairwise(clip)] or [np.zeros((60, 80, 2))]
        for start in range(len(clip)):
            stack = [fields[min(start + step, len(fields) - 1)] for step in range(flow_stack)]
            expected.append(np.concatenate(stack, axis=-1)[2:58, 12:68])
    kept = [*range(0, 6), *range(8, 14)]  # 6 and 6 stacks, each filled up to 8
    assert received.shape == (16, 56, 56, 2 * flow_stack)
    np.testing.assert_allclose(received[kept], expected, atol=1e-5)
    assert np.abs(received[kept]).max() > 5


def test_frames_of_another_size_are_scaled_before_their_flow(tmp_path):
    small = make_clips([3, 3])
    large = [
        np.stack([cv2.resize(frame, (160, 120), interpolation=cv2.INTER_CUBIC) for frame in clip]) for clip in small
    ]
    streams = [
        next(read_batches(*write_clips(clips, tmp_path / name), 2, 56, 1))[1]
        for name, clips in (("small", small), ("large", large))
    ]
    assert np.abs(streams[0] - streams[1]).mean() < 0.5  # bytes; unscaled, lengths would be twice as large


@pytest.mark.parametrize("flow_stack", [0, 2])
def test_nobody_waits_for_the_end_of_the_stream(tmp_path, flow_stack, monkeypatch):
    """tf.data's tuning thread, which the end of a stream waits for, sleeps for seconds."""
    files, counts = write_clips(make_clips([3]), tmp_path / "clips")
    read, streams = frames.ReadableDataset, []
    monkeypatch.setattr(
        frames, "ReadableDataset", lambda stream, advice: streams.append(stream) or read(stream, advice)
    )
    assert len(list(read_batches(files, counts, 2, 56, flow_stack))) == 2
    assert streams and not any(each.options().autotune.enabled for each in streams)


def test_percept_builds_see_the_very_pixels_that_training_and_read_shards_see(tmp_path):
    """JPEG of noise, where libjpeg's faster transform is several grey levels off."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 60, 80, 3), np.uint8)
    images = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes() for frame in frames]
    write_shards([Clip(images, [0, 1, 2], 60, 80, 25.0, "v")], tmp_path / "clips", shards=1)
    (clip,) = read_shards(tmp_path / "clips")
    for image, frame in zip(images, clip["frames"].numpy(), strict=True):
        np.testing.assert_array_equal(frame, cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)[..., ::-1])
    dataset = load_dataset(tmp_path / "clips")
    (batch,) = read_batches(dataset.paths("train"), [3], 3, 56)
    np.testing.assert_array_equal(batch, clip["frames"][:, 2:58, 12:68])
    np.testing.assert_array_equal(RecordReader(dataset, "train").clip_frames(0, range(3)), clip["frames"])
    data = DataConfig(path=str(tmp_path / "clips"), patch=8, colour=True)
    crops = next(iter(open_source(data, "train", 3).evaluation(1)))["frames"].numpy().reshape(3, 8, 8, 3)
    np.testing.assert_array_equal(crops, clip["frames"][:, 2:10, :8])
