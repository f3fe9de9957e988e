"""videorep.data.videos.encode: what becomes of sound, damaged, short and odd videos."""

import contextlib
import dataclasses
import hashlib

import cv2
import numpy as np
import pytest
from generated_videos import HEIGHT, WIDTH, numbered_frame, read_number, write_video

from videorep.build_config import ClipsConfig
from videorep.data.videos import encode
from videorep.data.videos.decode import VideoError, VideoReader, read_frames
from videorep.data.videos.encode import (
    encode_in_worker,
    encode_video,
    hash_video,
    measure_in_worker,
    sample_bytes_in_worker,
)

SOUND = ClipsConfig()
PARTIAL = ClipsConfig(keep_partial=True)


def decoded(video):
    return [cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR) for image in video.images]


def refusal(path, config=SOUND, **piece):
    with pytest.raises(VideoError) as caught:
        encode_video(path, config, **piece)
    return caught.value.reason


def test_a_sound_video_becomes_jpeg_frames_with_their_times(tmp_path):
    video = encode_video(write_video(tmp_path / "a.mp4", frames=25), ClipsConfig())
    assert (video.height, video.width, video.frame_rate, video.damage) == (HEIGHT, WIDTH, 25.0, "")
    assert video.timestamps == [40_000 * number for number in range(25)]
    frames = decoded(video)
    assert [read_number(frame) for frame in frames] == list(range(25))
    assert abs(frames[3].astype(int) - numbered_frame(3)).mean() < 8
    assert all(image.startswith(b"\xff\xd8\xff") for image in video.images)


def test_size_rate_and_quality_are_as_asked(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=25)
    video = encode_video(path, ClipsConfig(fps=10, size=(24, 40), quality=60))
    assert [frame.shape for frame in decoded(video)] == [(24, 40, 3)] * 10
    assert (video.height, video.width, video.frame_rate) == (24, 40, 10.0)
    assert video.timestamps == [100_000 * k for k in range(10)]
    assert [read_number(frame) for frame in decoded(video)] == [int(k * 2.5) for k in range(10)]
    sizes = [sum(map(len, encode_video(path, ClipsConfig(quality=quality)).images)) for quality in (30, 60, 95)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("rate", [25.0, 10.0])
def test_every_nth_frame_has_its_own_time_and_rate(tmp_path, rate):
    path = write_video(tmp_path / "a.mp4", frames=31, fps=rate)
    video, whole = encode_video(path, ClipsConfig(every=4)), encode_video(path, ClipsConfig())
    assert (video.images, video.timestamps) == (whole.images[::4], whole.timestamps[::4])
    assert video.frame_rate == rate / 4 and video.damage == ""
    assert [read_number(frame) for frame in decoded(video)] == list(range(0, 31, 4))
    piece = encode_video(path, ClipsConfig(every=4), start=0.3, end=1.2)
    assert piece.images == encode_video(path, ClipsConfig(), start=0.3, end=1.2).images[::4]
    sizes = [sample_bytes_in_worker(path, [ClipsConfig(every=every)], None, None, None)[0][0] for every in (1, 4)]
    assert sizes[0] / sizes[1] == pytest.approx(4, rel=0.15)
    assert refusal(path, ClipsConfig(every=31)) == "too short: 1 frame"


def test_a_frame_that_is_shown_twice_has_the_same_bytes(tmp_path):
    images = encode_video(write_video(tmp_path / "a.mp4", fps=10.0), ClipsConfig(fps=20)).images
    assert images[::2] == images[1::2] and len(set(images)) == 20


def test_a_piece_keeps_the_times_of_its_video(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=500)
    video = encode_video(path, ClipsConfig(), start=14.0, end=15.0)
    assert [read_number(frame) for frame in decoded(video)] == list(range(350, 375))
    assert (video.timestamps[0], video.timestamps[-1]) == (14_000_000, 14_960_000)


def test_what_is_too_short_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=50)
    assert refusal(write_video(tmp_path / "b.mp4", frames=1)) == "too short: 1 frame"
    assert refusal(path, start=1.5, end=3.5) == "too short: 0.5 of 2 s"
    assert refusal(path, start=7.0, end=9.0) == "no frames: none from 7 s on"
    assert len(encode_video(path, ClipsConfig(), start=1.0, end=2.05).images) == 25


def test_what_no_record_can_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "MAX_CLIP_BYTES", 1 << 14)
    path = write_video(tmp_path / "a.mp4", frames=50)
    assert refusal(path) == "too long: over 0 MiB of images; cut it with --sample-seconds"
    sent = []
    video = encode_video(path, ClipsConfig(), send=lambda size, frame: sent.append((size, frame)))
    assert [size for size, _ in sent] == [(HEIGHT, WIDTH)] * 50 and set(video.images) == {b""}
    assert [read_number(np.frombuffer(frame, np.uint8).reshape(HEIGHT, WIDTH, 3)) for _, frame in sent] == [*range(50)]


def test_without_quality_images_lose_nothing(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    images = decoded(encode_video(path, ClipsConfig(quality=None)))
    with contextlib.closing(VideoReader(str(path))) as reader:
        assert all(np.array_equal(image, frame) for image, (_, frame) in zip(images, read_frames(reader), strict=True))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_truncated_avi_is_damaged_and_kept_only_on_demand(tmp_path, share):
    path = write_video(tmp_path / "a.avi", frames=60)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert refusal(path).startswith("damaged: ") and " of 60 frames decoded" in refusal(path)
    kept = encode_video(path, PARTIAL)
    assert [read_number(frame) for frame in decoded(kept)][:-1] == list(range(len(kept.images) - 1))
    assert abs(len(kept.images) / 60 - share) < 0.15 and kept.damage in refusal(path)


def test_zeroed_bytes_in_the_stream_are_damage(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=60)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    assert "decoder error" in refusal(path)
    assert len(encode_video(path, PARTIAL).images) >= 30


def test_a_sound_piece_of_a_damaged_video_is_sound(tmp_path):
    path = write_video(tmp_path / "a.avi", frames=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert len(encode_video(path, ClipsConfig(), start=0.0, end=1.0).images) == 25


@pytest.mark.parametrize(("content", "reason"), [(b"text\n" * 500, "unreadable: "), (bytes(5000), "unreadable: ")])
def test_what_is_no_video_is_unreadable_and_the_screen_stays_clean(tmp_path, capfd, content, reason):
    path = tmp_path / "a.avi"
    path.write_bytes(content)
    assert refusal(path).startswith(reason)
    assert capfd.readouterr().err == ""


def test_odd_sizes_are_kept(tmp_path):
    path = tmp_path / "a.avi"  # YUV4MPEG under a wrong name: OpenCV writes even sizes only
    plane, chroma = bytes([150]) * (17 * 33), bytes([128]) * (9 * 17) * 2
    path.write_bytes(b"YUV4MPEG2 W33 H17 F25:1 Ip A1:1 C420jpeg\n" + (b"FRAME\n" + plane + chroma) * 20)
    video = encode_video(path, ClipsConfig())
    assert (video.height, video.width, len(video.images)) == (17, 33, 20)
    assert {frame.shape[:2] for frame in decoded(video)} == {(17, 33)}


def test_known_damaged_files_are_told_from_sound_ones(shared_data):
    videos = shared_data / "videos"
    damaged, small = videos / "decord_corrupted.mp4", ClipsConfig(size=(24, 32))
    assert refusal(damaged, small).startswith("damaged: 28 of 50 frames decoded; 4 decoder errors")
    assert len(encode_video(damaged, dataclasses.replace(small, keep_partial=True)).images) == 28
    for name, frames in [("Megamind.avi", 270), ("Megamind_bugy.avi", 270), ("bikes.mp4", 250)]:
        assert len(encode_video(videos / name, small).images) == frames


def test_real_clips_are_sound(shared_data):
    for path in sorted((shared_data / "ucf101" / "clips").glob("*.mp4"))[::20]:
        assert encode_video(path, ClipsConfig(size=(24, 32))).damage == ""


def test_what_a_worker_returns(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    beats = []
    named = {"path": "a", "label_index": 1, "label_text": "wave"}
    (found, facts, reason), data = encode_in_worker(path, ClipsConfig(), None, None, named, lambda: beats.append(1))
    assert (found, reason) == (digest, "") and len(beats) >= 20
    assert facts == {"frames": 20, "height": HEIGHT, "width": WIDTH, "frame_rate": 25.0}
    images = encode_video(path, ClipsConfig()).images
    assert all(image in data for image in images) and 0 < len(data) - sum(map(len, images)) < 2000
    assert measure_in_worker(path, lambda: None) == ((0.8, ""), b"")
    path.write_bytes(path.read_bytes()[:100])
    broken = hashlib.sha256(path.read_bytes()).hexdigest()
    assert hash_video(path) == broken
    (found, facts, reason), data = encode_in_worker(path, ClipsConfig(), None, None, named, lambda: None)
    assert data == b"" and found == broken and facts is None and reason.startswith("unreadable: ")
    assert measure_in_worker(path, lambda: None)[0][1].startswith("unreadable: ")
    gone = encode_in_worker(tmp_path / "none.mp4", ClipsConfig(), None, None, named, lambda: None)
    assert gone == (("", None, "unreadable: No such file or directory"), b"")
