"""`embed` against shards, percepts and the Keras layers by hand, on drawn videos."""

import os

import numpy as np
import pytest
from click.testing import CliRunner
from generated_videos import write_video
from live_building import CLASSES, call

from videorep.cli.main import videorep_command
from videorep.data import read_shards, write_shards
from videorep.errors import RunError, ShardError, VideorepWarning
from videorep.live import embed_shards, embed_videos
from videorep.live.embeddings import read_embeddings
from videorep.models import Classifier
from videorep.runs import load_run


def refused(*words):
    result = CliRunner().invoke(videorep_command, [str(word) for word in words])
    assert result.exit_code in (1, 2) and "Traceback" not in result.output
    return result.output


def hidden_by_hand(model, frames):
    """h of the top layer after the last of (T, D) frames, by calling the Keras layers one after another."""
    values = frames[None]
    for layer in model.lstms if isinstance(model, Classifier) else ():
        values = layer(values)
    return (values[0, -1] if isinstance(model, Classifier) else model.encode(values)[-1][0][0]).numpy()


def blocks_by_hand(run, data, length, stride):
    """{path: (blocks, units)} of all records of percept shards."""
    model, made = run.model(), {}
    for record in (record for split in ("train", "test") for record in read_shards(data, split)):
        frames = record["frames"].numpy()
        starts = range(0, max(1, len(frames) - length + 1), stride)
        blocks = [hidden_by_hand(model, frames[start : start + length]) for start in starts]
        made[record["path"].numpy().decode()] = np.stack(blocks)
    return made


CASES = {"rgb": ("percepts", (8, 4)), "flow": ("flow-percepts", (8, 4)), "pretrained": ("percepts", (10, 8))}


@pytest.mark.parametrize("name", CASES)
def test_videos_equal_shards_percepts_and_the_layers_by_hand(live_chain, tmp_path, name):
    run, out, (data, block) = live_chain / name, tmp_path / "e.npz", CASES[name]
    expected = blocks_by_hand(load_run(run), live_chain / data, *block)
    assert len(expected) == 10 and max(map(len, expected.values())) > 1
    call("embed", run, live_chain / "VIDEOS", "--out", out)
    arrays = np.load(out, allow_pickle=False)
    paths = [os.path.relpath(path, live_chain / "VIDEOS") for path in arrays["paths"]]
    assert sorted(paths) == sorted(expected) and arrays["embeddings"].dtype == np.float32
    assert not any(arrays["labels"])
    means = np.stack([expected[path].mean(axis=0) for path in paths])
    np.testing.assert_allclose(arrays["embeddings"], means, atol=1e-5)
    assert np.ptp(means, axis=0).max() > 1e-3, "videos differ"
    call("embed", run, live_chain / "VIDEOS", "--direct", "--out", out, "--overwrite")
    moved = np.abs(np.load(out)["embeddings"] - means).mean()
    assert 1e-6 < moved < 0.5 * np.abs(means).mean()
    call("embed", run, live_chain / data, "--out", out, "--per", "block", "--overwrite")
    made = read_embeddings(out)
    assert made.paths == [path for path, blocks in expected.items() for _ in blocks]
    assert made.labels == [path.split("/")[0] for path in made.paths] and set(made.labels) == set(CLASSES)
    np.testing.assert_allclose(made.values, np.concatenate(list(expected.values())), atol=1e-5)


def test_frames_of_a_short_video_without_label_leave_the_padding_out(live_chain, tmp_path):
    run = load_run(live_chain / "rgb")
    frames = np.random.default_rng(0).random((5, run.config.model.features), np.float32)
    write_shards([{"frames": frames, "path": "short.mp4"}], tmp_path / "short")
    with pytest.warns(VideorepWarning, match="not say which backbone"):
        made = embed_shards(run, tmp_path / "short", split="train", per="frame")
    assert made.paths == ["short.mp4"] * 5 and made.labels == [""] * 5
    stored = next(iter(read_shards(tmp_path / "short", "train")))["frames"].numpy()
    by_hand = [hidden_by_hand(run.model(), stored[: count + 1]) for count in range(5)]
    np.testing.assert_allclose(made.values, by_hand, atol=1e-5)
    with pytest.warns(VideorepWarning):
        whole = embed_shards(run, tmp_path / "short")
    np.testing.assert_allclose(whole.values, [by_hand[-1]], atol=1e-5)


def test_every_input_is_a_row_or_is_told_and_lists_give_labels(live_chain, tmp_path):
    write_video(tmp_path / "single.avi", frames=1)
    (tmp_path / "empty.mp4").touch()
    video = live_chain / "whole.mp4"
    (tmp_path / "list.csv").write_text(f"{video},0,0.6,jump\n{video},0.6,1.2,jump\n")
    names = [tmp_path / name for name in ("list.csv", "single.avi", "empty.mp4", "missing.mp4")]
    made, reasons = embed_videos(load_run(live_chain / "pretrained"), names)
    assert (made.paths, made.labels, made.per) == ([str(video)], ["jump"], "video")
    assert [reasons[str(name)].split(":")[0] for name in names[1:]] == ["too short", "unreadable", "missing"]
    words = ["embed", live_chain / "pretrained", *names, "--out", tmp_path / "e.npz"]
    told = CliRunner().invoke(videorep_command, [str(word) for word in words])
    assert told.exit_code == 0 and told.stderr.endswith("1 of 4 videos embedded\n")
    assert all(f"{name}: {reasons[str(name)]}\n" in told.stderr for name in names[1:])
    none = refused("embed", live_chain / "rgb", tmp_path / "empty.mp4", "--out", tmp_path / "none.npz")
    assert "an empty file" in none and "at least one video" in none and not (tmp_path / "none.npz").exists()


def test_what_cannot_be_embedded_is_refused_in_one_sentence(live_chain, tmp_path):
    video, out = live_chain / "whole.mp4", tmp_path / "e.npz"
    assert "a run with an encoder" in refused("embed", live_chain / "frames", video, "--out", out)
    assert "finetune run on clips" in refused("embed", live_chain / "pixels", video, "--out", out)
    with pytest.raises(ShardError, match="received clips; name percepts"):
        embed_shards(load_run(live_chain / "rgb"), live_chain / "clips")
    with pytest.raises(RunError, match="name percepts of the same backbone"):
        embed_shards(load_run(live_chain / "rgb"), live_chain / "flow-percepts")
    write_shards([{"frames": np.ones((9, 3), np.float32)}], tmp_path / "narrow")
    with pytest.raises(RunError, match="with 3; name percepts"):
        embed_shards(load_run(live_chain / "rgb"), tmp_path / "narrow")
    for words in (
        ["embed", live_chain / "rgb", live_chain / "percepts", video, "--out", out],
        ["embed", live_chain / "rgb", video, "--split", "test", "--out", out],
        ["embed", live_chain / "rgb", live_chain / "percepts", "--backbone", "x.keras", "--out", out],
        ["embed", live_chain / "rgb", live_chain / "percepts", "--direct", "--out", out],
    ):
        assert "perhaps with --split" in refused(*words)
    assert "'--out'" in refused("embed", live_chain / "rgb", video, "--out", "e.csv")
    (tmp_path / "v-metadata.tsv").touch()
    assert "v-metadata.tsv, which exists" in refused("embed", live_chain / "rgb", video, "--out", tmp_path / "v.tsv")
