"""videorep.data.videos.decode: which frames come, in which colours, at which times."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from generated_videos import HEIGHT, WIDTH, numbered_frame, read_number, write_video

from videorep.data.videos.decode import DecoderLog, VideoError, VideoReader, read_frames, resize_frame


def decode(path, size=None, **options):
    """The frames of a video, (H, W, 3) BGR."""
    for _, image in read_frames(VideoReader(path), **options):
        yield resize_frame(image, size)


def numbers(path, **options):
    return [read_number(frame) for frame in decode(path, **options)]


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.mkv", "a.mov"])
def test_every_frame_comes_once_and_in_order(tmp_path, name):
    assert numbers(write_video(tmp_path / name, frames=30)) == list(range(30))


def test_frames_are_bgr(tmp_path):
    frame = next(decode(write_video(tmp_path / "a.mp4")))
    assert frame.shape == (HEIGHT, WIDTH, 3) and frame.dtype == np.uint8
    blue, green, red = frame[28:36, 4:12].reshape(-1, 3).mean(0)
    assert red > 180 and green < 60 and blue < 60
    assert abs(frame.astype(int) - numbered_frame(0)).mean() < 8


@pytest.mark.parametrize("fps", [5, 10, 12, 25, 30, 50])
@pytest.mark.parametrize("source_fps", [25.0, 10.0])
def test_resampling_shows_the_frame_of_the_moment(tmp_path, fps, source_fps):
    path = write_video(tmp_path / "a.mp4", frames=20, fps=source_fps)
    moments = range(int(np.ceil(20 / source_fps * fps - 1e-9)))
    assert numbers(path, fps=fps) == [int(k * source_fps / fps + 1e-6) for k in moments]


def test_a_piece_holds_the_frames_from_start_up_to_end(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=50)
    assert numbers(path, start=0.4, end=0.8) == list(range(10, 20))
    assert numbers(path, start=1.8) == list(range(45, 50))
    assert numbers(path, end=0.2) == list(range(5))
    assert numbers(path, start=0.42, end=1.0, fps=5) == [10, 15, 20]
    assert numbers(path, start=5.0) == []


class CountedCapture:
    """A capture that counts the frames that it converts."""

    def __init__(self, capture):
        self.capture, self.converted = capture, 0

    def __getattr__(self, name):
        return getattr(self.capture, name)

    def retrieve(self):
        self.converted += 1
        return self.capture.retrieve()


@pytest.mark.parametrize("piece", [{}, {"end": 0.9}, {"start": 0.42, "end": 1.6}])
def test_every_nth_frame_is_one_of_all_and_no_other_is_converted(tmp_path, piece):
    path = write_video(tmp_path / "a.mp4", frames=50)
    expected = list(read_frames(VideoReader(path), **piece))[::7]
    reader = VideoReader(path)
    reader._capture = counted = CountedCapture(reader._capture)
    taken = list(read_frames(reader, **piece, every=7))
    assert [seconds for seconds, _ in taken] == [seconds for seconds, _ in expected] and len(taken) > 3
    assert all(np.array_equal(image, other) for (_, image), (_, other) in zip(taken, expected, strict=True))
    before = 11 if "start" in piece else 0  # resampling shows the last of those before a moment
    assert counted.converted <= len(taken) + before + 1


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.mkv", "a.ts", "a.mpg"])
def test_a_jump_lands_where_reading_from_the_beginning_does(tmp_path, name):
    fourcc = {"ts": "MPG2", "mpg": "MPG1"}.get(name[2:])
    path = write_video(tmp_path / name, frames=700, fourcc=fourcc)
    assert numbers(path, start=20.0, end=20.4) == list(range(500, 510))
    assert numbers(path, start=20.0, end=21.0, fps=5) == [500, 505, 510, 515, 520]
    assert numbers(path, start=20.0, end=21.0, every=10) == [500, 510, 520]
    reader = VideoReader(path)
    assert next(reader.frames(20.0))[0] >= 18.9 and reader.grabbed < 500


def test_a_jump_that_leads_astray_is_not_trusted(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", frames=500)
    monkeypatch.setattr(VideoReader, "_capture", property(lambda self: self.astray, set_astray), raising=False)
    assert numbers(path, start=15.0, end=15.2) == list(range(375, 380))


def set_astray(reader, capture):
    """A capture whose jumps go two seconds too far."""

    class Astray:
        def __getattr__(self, name):
            return getattr(capture, name)

        def set(self, key, value):
            return capture.set(key, value + 2000)

    reader.astray = Astray()


def test_resizing_averages_areas(tmp_path):
    path = write_video(tmp_path / "a.avi", frames=2)
    whole = next(decode(path)).astype(float)
    mean = whole.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean((1, 3))
    assert abs(next(decode(path, size=(HEIGHT // 2, WIDTH // 2))) - mean).max() <= 1


def patched(path, tag, offset, value):
    """Overwrites a 32-bit field of an AVI header."""
    data = bytearray(path.read_bytes())
    at = data.index(tag) + 8 + offset
    data[at : at + 4] = value.to_bytes(4, "little")
    path.write_bytes(data)


def test_a_header_of_zero_frames_per_second_does_no_harm(tmp_path):
    path = write_video(tmp_path / "a.avi")
    patched(path, b"avih", 0, 0)
    patched(path, b"strh", 24, 0)
    assert numbers(path) == list(range(20))
    assert len(numbers(path, fps=5)) == 4


@pytest.mark.parametrize("count", [0, 7, 1000])
def test_a_wrong_frame_count_in_the_header_does_no_harm(tmp_path, count):
    path = write_video(tmp_path / "a.avi")
    patched(path, b"avih", 16, count)
    patched(path, b"strh", 32, count)
    assert numbers(path) == list(range(20))


def test_length_is_what_the_header_promises_or_what_the_frames_cover(tmp_path):
    path = write_video(tmp_path / "a.avi", frames=50)
    assert VideoReader(path).length() == 2.0
    patched(path, b"avih", 16, 0)
    patched(path, b"strh", 32, 0)
    assert VideoReader(path).length() == pytest.approx(2.0)


@pytest.mark.parametrize(
    "name", [b"a b.mp4", b"-a'\"\n.mp4", "ü漢.mp4".encode(), b"\xff\xfe.mp4", b"%03d.mp4", b"c:d?.mp4"]
)
def test_any_file_name_will_do(tmp_path, name):
    path = os.path.join(os.fsencode(tmp_path), name)
    os.rename(write_video(tmp_path / "plain.mp4", frames=5), path)
    assert numbers(os.fsdecode(path)) == list(range(5))


def test_what_is_no_video_is_refused_in_one_sentence(tmp_path, capfd):
    path = tmp_path / "a.mp4"
    path.write_text("no video\n" * 100)
    with (
        DecoderLog() as log,
        pytest.raises(VideoError, match=r"expected a complete video at .*a\.mp4, received: unreadable"),
    ):
        next(decode(path))
    assert log is not None and capfd.readouterr().err == ""


def test_the_log_holds_the_decoders_complaints_only_within_its_block(tmp_path, capfd):
    with DecoderLog() as log:
        os.write(2, b"[h264 @ 0x55e0] error while decoding MB 5 14\n[avi @ 0x1] odd header\n")
        os.write(2, b"[h264 @ 0x55e0] mmco: unref short failure\nnot FFmpeg's\n")
        assert log.decoder_errors() == ["error while decoding MB 5 14"]
        log.discard()
        assert log.messages() == []
    os.write(2, b"seen")
    assert capfd.readouterr().err == "seen"


def test_avi_frames_without_timestamps_follow_the_one_before(shared_data):
    times = [seconds for seconds, _ in read_frames(VideoReader(shared_data / "videos" / "Megamind.avi"))]
    assert len(times) == 270
    np.testing.assert_allclose(np.diff(times), 1 / 23.976, atol=1e-4)


def test_real_clips_decode_as_opencv_decodes_them(shared_data):
    path = sorted((shared_data / "ucf101" / "clips").glob("*.mp4"))[5]
    capture = cv2.VideoCapture(str(path))
    for frame in decode(path):
        assert np.array_equal(frame, capture.read()[1])
    assert not capture.read()[0]


def test_decoding_imports_no_tensorflow():
    code = (
        "import sys; from videorep.data.videos import decode, encode, labels, pieces, workers; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("beginning", ["ffconcat version 1.0\nfile other.avi\n", "#EXTM3U\nother.avi\n"])
def test_a_list_of_other_files_is_no_video(tmp_path, beginning):
    (tmp_path / "list.mp4").write_text(beginning)
    with pytest.raises(VideoError, match="a list of other files"):
        VideoReader(str(tmp_path / "list.mp4"))
