"""What passes between those who make records and those who write them. No TensorFlow: decode workers import this."""

import dataclasses

import numpy as np

FORMATS = ("jpeg", "png")


@dataclasses.dataclass(frozen=True)
class Clip:
    """Encoded frames of one video or of one piece of it.

    Args:
        images: One JPEG or PNG file's bytes per frame, all of one size.
        timestamps: Microseconds from the start of the video, one per frame, rising.
        height, width: Size of every frame in pixels.
        frame_rate: Frames per second.
        path: Where the frames come from; relative to the videos' folder.
        label_index, label_text: The class, or None where nobody knows.
        format: "jpeg" or "png".
        channels: 3 (RGB) or 1 (grey).
        frame_labels: The class of every frame, where frames have classes of their own.
    """

    images: list
    timestamps: list
    height: int
    width: int
    frame_rate: float
    path: str
    label_index: int | None = None
    label_text: str | None = None
    format: str = "jpeg"
    channels: int = 3
    frame_labels: list | None = None

    @property
    def frames(self):
        """How many frames the clip has."""
        return len(self.images)


@dataclasses.dataclass(frozen=True)
class EncodedClip:
    """A `Clip` that a worker has serialized already: `data` is the record, the rest what the build notes of it."""

    data: bytes
    frames: int
    height: int
    width: int
    frame_rate: float
    path: str
    label_index: int | None = None
    channels: int = 3


@dataclasses.dataclass(frozen=True)
class Percept:
    """What a convnet saw on each frame of one clip.

    Args:
        array: (T, D) float16 or float32.
        path: The `path` of the clip.
        label_index, label_text: The class, or None where nobody knows.
        frame_rate: Frames per second.
        start: Seconds from the start of the video to the first frame.
        compression: "" or "gzip", how the array's bytes are stored.
        frame_labels: As of a `Clip`.
    """

    array: np.ndarray
    path: str
    label_index: int | None = None
    label_text: str | None = None
    frame_rate: float = 0.0
    start: float = 0.0
    compression: str = ""
    frame_labels: list | None = None

    @property
    def frames(self):
        """How many frames the percept has."""
        return len(self.array)
