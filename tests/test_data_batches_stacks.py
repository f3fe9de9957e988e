"""Training stacks: the right flow and label, decided by position, mirrored as motion is mirrored."""

import numpy as np
import pytest

from videorep.data.batches.stacks import LabelledStacks
from videorep.data.percepts.flow import stack_fields
from videorep.data.sampling import spread
from videorep.data.shards.write import write_shards
from videorep.errors import ShardError


@pytest.fixture(scope="module")
def clips():
    """Six clips of noise that is smooth in space; frame t of clip n differs from every other frame."""
    generator = np.random.default_rng(0)
    return [
        np.kron(generator.integers(0, 256, (4 + number, 15, 20, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)
        for number in range(6)
    ]


@pytest.fixture(scope="module")
def folder(clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("stacks") / "clips"
    write_shards([{"frames": clip, "label": "ab"[n % 2]} for n, clip in enumerate(clips)], out, shards=2)
    return out


def take(batches, count):
    return [{key: value.numpy() for key, value in batch.items()} for batch in batches.take(count)]


def test_evaluation_sees_every_clip_in_order(clips, folder):
    stacks = LabelledStacks(folder, "train", 56, 2)
    batches = take(stacks.evaluation(5), 100)
    received = {key: np.concatenate([batch[key] for batch in batches]) for key in ("frames", "label", "clip")}
    assert received["clip"].tolist() == [n for n in range(6) for _ in range(4 + n)]
    assert received["label"].tolist() == [n % 2 for n in range(6) for _ in range(4 + n)]
    expected = [stack_fields(clip[start:], 2)[2:58, 12:68] for clip in clips for start in range(len(clip))]
    np.testing.assert_allclose(received["frames"], expected, atol=1e-5)


def test_position_decides_a_training_batch(folder):
    stacks = LabelledStacks(folder, "train", 48, 1)
    straight = take(stacks.training(4, seed=1), 4)
    resumed = take(stacks.training(4, seed=1, start_step=2), 2)
    for one, other in zip(straight[2:], resumed, strict=True):
        np.testing.assert_array_equal(one["frames"], other["frames"])
        np.testing.assert_array_equal(one["label"], other["label"])
    assert np.abs(straight[0]["frames"] - take(stacks.training(4, seed=2), 1)[0]["frames"]).max() > 1


def test_training_frames_are_crops_of_the_clips_some_mirrored(clips, folder):
    stacks = LabelledStacks(folder, "train", 56, 0)
    seen = {"plain": 0, "mirrored": 0}
    for batch in take(stacks.training(6, seed=0), 4):
        for frame, label in zip(batch["frames"], batch["label"], strict=True):
            places = [
                (number, kind)
                for number, clip in enumerate(clips)
                for kind, view in (("plain", frame), ("mirrored", frame[:, ::-1]))
                for whole in clip
                for top in range(5)
                for left in range(25)
                if (whole[top, left] == view[0, 0]).all() and (whole[top : top + 56, left : left + 56] == view).all()
            ]
            assert len(places) >= 1
            assert places[0][0] % 2 == label
            seen[places[0][1]] += 1
    assert min(seen.values()) >= 5


def test_a_mirrored_stack_is_the_flow_of_mirrored_frames(clips, folder):
    stacks = LabelledStacks(folder, "train", 56, 2)
    still, picture = clips[0][0][:30], clips[0][0][30:]
    drift = np.stack([np.concatenate([still, np.roll(picture, 2 * number, axis=1)]) for number in range(3)])
    mirrored = stacks._mirror(stack_fields(drift, 2)).numpy()
    of_mirrored = stack_fields(np.ascontiguousarray(drift[:, :, ::-1]), 2)
    unlike = np.abs(stack_fields(drift, 2) - of_mirrored).mean()
    assert np.abs(mirrored - of_mirrored).mean() < 0.3 * unlike


def test_spread_is_even_and_covers_both_ends():
    assert spread(3, 25).tolist() == [0, 1, 2]
    assert spread(101, 5).tolist() == [0, 25, 50, 75, 100]


def test_unlabelled_clips_are_refused(clips, tmp_path):
    write_shards([{"frames": clips[0]}], tmp_path / "clips")
    with pytest.raises(ShardError, match="--labels"):
        LabelledStacks(tmp_path / "clips", "train", 56, 1)
