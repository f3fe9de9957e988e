"""Turns one video, or a piece of it, into the JPEG images of a clip, or says why it cannot be used. No TensorFlow.

FFmpeg conceals errors: it hands out plausible frames and goes on. So a video is damaged if it shows either sign:

1. the decoder (not the container's reader, which also complains about harmless headers) wrote an error to standard
   error while it decoded the frames that were asked for;
2. a whole video gave fewer frames than its header promises, by more than 2 frames and 1 %, and also covers less time
   (containers without a frame count, such as WebM, only promise a length).

Of single flipped bits in H.264 and MPEG-4 about one in four makes the decoder complain; the others change pixels in
ways that no decoder can tell from the camera's.
"""

import contextlib
import dataclasses
import itertools
import os
from pathlib import Path

import cv2

from videorep.data.shards.encode import encode_clip
from videorep.data.shards.hashes import hash_file
from videorep.data.shards.records import Clip
from videorep.data.videos.decode import USUAL_RATE, DecoderLog, VideoError, VideoReader, read_frames, resize_frame
from videorep.data.videos.segments import label_frames

MIN_FRAMES = 2  # one frame shows no motion
MIN_COVERAGE = 0.9  # of the piece that was asked for: headers overstate the length of a video a little
MAX_CLIP_BYTES = 512 << 20  # a worker and its parent hold several copies; a serialized record ends at 2 GiB
SPARE_FRAMES, SPARE_SHARE = 2, 0.01  # frames that a header may promise too many
SAMPLED_FRAMES, SAMPLED_STRIDE = 6, 8  # of a video whose bytes are estimated, from its beginning
RECORD_BYTES, FRAME_BYTES = 200, 25  # what a record holds beside its images, on the whole and per frame

_hashes = {}


@dataclasses.dataclass(frozen=True)
class EncodedVideo:
    """Bytes of an image per frame, see `encode_video`, microseconds from the start of the video, and what is damaged
    ("": nothing)."""

    images: list
    timestamps: list
    height: int
    width: int
    frame_rate: float
    damage: str = ""


def compress_image(frame, quality):
    """A BGR frame as the bytes of a JPEG of this quality, or of a PNG where it is None."""
    if quality is None:
        return cv2.imencode(".png", frame)[1].tobytes()
    return cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class _Frames:
    """The frames of one clip, encoded and kept as they come, or handed to `send` as they are."""

    def __init__(self, config, send):
        self.config, self._send = config, send
        self.images, self.seconds, self.shape = [], [], None
        self.damage = []
        self._last, self._bytes = None, 0

    def add(self, seconds, image):
        """Encodes one frame, or repeats the last one's bytes if it is the same; False if it does not fit the others."""
        if image is not self._last:
            self._last = image
            frame = resize_frame(image, self.config.size)
            self.shape = self.shape or frame.shape[:2]
            if frame.shape[:2] != self.shape:
                self.damage.append(f"the frame size changes after {len(self.images)} frames")
                return False
            if self._send is None:
                self._image = compress_image(frame, self.config.quality)
            else:
                self._image, self._raw = b"", cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).tobytes()
        if self._send is not None:
            self._send(self.shape, self._raw)
        self.images.append(self._image)
        self.seconds.append(seconds)
        self._bytes += len(self._image)
        return True

    def read(self, reader, start, end, log):
        """Takes all frames of the piece [start, end); notes what goes wrong on the way."""
        try:
            for seconds, image in read_frames(reader, self.config.fps, start, end, self.config.every):
                if start and not self.images:
                    log.discard()  # a decoder that begins in the middle complains until it has its bearings
                if not self.add(seconds, image):
                    break
                if self._bytes > MAX_CLIP_BYTES:
                    held = f"over {MAX_CLIP_BYTES >> 20} MiB of images"
                    raise VideoError(reader.path, f"too long: {held}; cut it with --sample-seconds")
        except cv2.error as error:
            self.damage.append(f"OpenCV fails after {len(self.images)} frames: {error.err}")

    def frame_rate(self, reader):
        """The rate that was asked for, the header's if the timestamps agree with it, else what the timestamps say."""
        if self.config.fps is not None:
            return float(self.config.fps)
        measured = (len(self.seconds) - 1) / (self.seconds[-1] - self.seconds[0])
        promised = measured if reader.header_rate is None else reader.header_rate / (self.config.every or 1)
        return promised if abs(measured / promised - 1) < 0.02 else measured


def encode_video(path, config, start=None, end=None, beat=None, send=None):
    """Decodes a video, or the piece [start, end) of it in seconds, into images: an `EncodedVideo`.

    Of the `ClipsConfig` only `fps`, `every`, `size`, `quality` and `keep_partial` matter; `beat` is called with each
    frame, to show that the decoder is alive. Images are JPEG, or PNG where the quality is None. With `send` they are
    empty: it is called with (H, W) of each frame and its bytes, (H, W, 3) uint8 RGB.

    Raises:
        VideoError: unreadable, no frames, too short, too long, or damaged.
    """
    frames = _Frames(config, send)
    with DecoderLog() as log, contextlib.closing(_open(path, beat, log)) as reader:
        frames.read(reader, start, end, log)
        reader.close()
        errors = log.decoder_errors()
    if start is None and end is None and not frames.damage:
        frames.damage += missing_frames(reader)
    if errors:
        frames.damage.append(f"{len(errors)} decoder error{'s' * (len(errors) > 1)}, first {errors[0]!r}")
    _require_usable(path, frames, reader, start, end)
    timestamps = [round(seconds * 1e6) for seconds in frames.seconds]
    return EncodedVideo(frames.images, timestamps, *frames.shape, frames.frame_rate(reader), "; ".join(frames.damage))


def _open(path, beat, log):
    try:
        return VideoReader(path, beat)
    except VideoError as error:
        told = [message for _, message in log.messages()]
        raise VideoError(path, f"unreadable: {told[-1]}" if told else error.reason) from error


def missing_frames(reader):
    """What to say if a video that was read to its end gave less than its header promises, as a list."""
    promised, rate = reader.header_frames, reader.header_rate
    missing = promised - reader.grabbed
    if reader.grabbed == 0 or missing <= max(SPARE_FRAMES, SPARE_SHARE * promised):
        return []
    if rate is not None:
        length = promised / rate
        if reader.seconds + 1 / rate >= length - max(SPARE_FRAMES / rate, SPARE_SHARE * length):
            return []
    return [f"{reader.grabbed} of {promised} frames decoded"]


def _require_usable(path, frames, reader, start, end):
    """Raises VideoError unless the frames make a clip."""
    damage, count = "; ".join(frames.damage), len(frames.images)
    if count == 0:
        within = "" if start is None else f"none from {start:g} s on"
        raise VideoError(path, ": ".join(filter(None, ["no frames", within, damage])))
    if damage and not frames.config.keep_partial:
        raise VideoError(path, f"damaged: {damage}")
    if count < MIN_FRAMES:
        raise VideoError(path, f"too short: {count} frame" + (f"; {damage}" if damage else ""))
    if end is not None and not damage:
        asked = end - (start or 0.0)
        covered = (frames.seconds[-1] - frames.seconds[0]) + 1 / frames.frame_rate(reader)
        if covered < MIN_COVERAGE * asked:
            raise VideoError(path, f"too short: {covered:.1f} of {asked:g} s")


def measure_length(path, beat=None):
    """Seconds that a video promises, or that its frames cover where it promises nothing; a VideoError if unreadable."""
    with DecoderLog() as log, contextlib.closing(_open(path, beat, log)) as reader:
        return reader.length()


def hash_video(path, beat=None):
    """SHA-256 of a file, remembered: pieces of one video often come to the same worker."""
    status = os.stat(path)
    key = (path, status.st_size, status.st_mtime_ns)
    if key not in _hashes:
        _hashes[key] = hash_file(Path(path), beat)
    return _hashes[key]


def encode_in_worker(path, config, start, end, named, beat):
    """What a worker process makes of one video.

    `named` has "path", "label_index" and "label_text" of the clip, and "segments", as for `label_frames`, where frames
    have classes of their own. Gives (SHA-256 or "", what an `EncodedClip` holds beside the data or None, what is wrong
    or ""), and the data.
    """
    digest, clip, reason = _make_clip(path, config, start, end, named, beat)
    if clip is None:
        return (digest, None, reason), b""
    facts = {name: getattr(clip, name) for name in ("frames", "height", "width", "frame_rate")}
    return (digest, facts, reason), encode_clip(clip)


def stream_in_worker(path, config, start, end, named, beat):
    """Like `encode_in_worker`, but hands over every frame at once: its size and its bytes, uint8 RGB, as a part.

    Gives (SHA-256 or "", the `Clip` with empty images or None, what is wrong or ""), and no payload.
    """
    return _make_clip(path, config, start, end, named, beat, beat.send), b""


def _make_clip(path, config, start, end, named, beat, send=None):
    """(SHA-256 or "", `Clip` or None, what is wrong or ""); `send` as for `encode_video`."""
    cv2.setNumThreads(1)
    digest = ""
    try:
        digest = hash_video(path, beat)
        video = encode_video(path, config, start, end, beat, send)
    except VideoError as error:
        return digest, None, error.reason
    except OSError as error:
        return digest, None, f"unreadable: {error.strerror}"
    flaws = [video.damage]
    if "segments" in named:
        labels, empty = label_frames(video.timestamps, named["segments"])
        named = {name: named[name] for name in named if name != "segments"} | {"frame_labels": labels}
        if start is None:  # pieces of a video hold some of its segments only
            flaws += [f"no frame in the segment from {first:g} to {last:g} s" for first, last, _ in empty]
    shape = {"height": video.height, "width": video.width, "frame_rate": video.frame_rate}
    clip = Clip(video.images, video.timestamps, **shape, **named, format="png" if config.quality is None else "jpeg")
    return digest, clip, "; ".join(filter(None, flaws))


def images_in_worker(path, config, start, end, raw, beat):
    """What a worker process makes of a video that goes into no shard.

    Gives (`EncodedVideo` with the lengths of its images for images, or None; what is wrong or ""), and these joined.
    Where `raw` they are empty, and every frame is handed over as by `stream_in_worker`.
    """
    cv2.setNumThreads(1)
    try:
        video = encode_video(path, config, start, end, beat, beat.send if raw else None)
    except VideoError as error:
        return (None, error.reason), b""
    except OSError as error:
        return (None, f"unreadable: {error.strerror}"), b""
    return (dataclasses.replace(video, images=[len(each) for each in video.images]), video.damage), b"".join(
        video.images
    )


def measure_in_worker(path, beat):
    """What a worker process says of a video's length: (seconds, "") or (0.0, reason), and no payload."""
    try:
        return (measure_length(path, beat), ""), b""
    except VideoError as error:
        return (0.0, error.reason), b""


def middle_frame_in_worker(path, beat):
    """The frame (H, W, 3) BGR that a worker process sees halfway through a video, or None, and no payload."""
    cv2.setNumThreads(1)
    try:
        middle = measure_length(path, beat) / 2
        with contextlib.closing(VideoReader(path, beat)) as reader:
            frames = read_frames(reader, None, middle)
            return next((image for _, image in frames), None), b""
    except (VideoError, cv2.error):
        return None, b""


def sample_bytes_in_worker(path, configs, start, end, beat):
    """About how many bytes each of `configs` makes of a video or piece, [] where it cannot be read; and no payload."""
    cv2.setNumThreads(1)
    try:
        with contextlib.closing(VideoReader(path, beat)) as reader:
            rate, length = reader.header_rate, reader.length()
        with contextlib.closing(VideoReader(path, beat)) as reader:
            frames = read_frames(reader, None, start, end)
            images = [
                image for _, image in itertools.islice(frames, 0, SAMPLED_FRAMES * SAMPLED_STRIDE, SAMPLED_STRIDE)
            ]
    except (VideoError, cv2.error):
        return [], b""
    seconds = min(length, length if end is None else end) - (start or 0.0)
    if not images or seconds <= 0:
        return [], b""
    rates = [config.fps or (rate or USUAL_RATE) / (config.every or 1) for config in configs]
    return [_record_bytes(images, each, seconds * per) for each, per in zip(configs, rates, strict=True)], b""


def _record_bytes(images, config, frames):
    """Bytes of a record of so many frames like these."""
    sizes = [len(compress_image(resize_frame(image, config.size), config.quality)) for image in images]
    return RECORD_BYTES + frames * (sum(sizes) / len(sizes) + FRAME_BYTES)
