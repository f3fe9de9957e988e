"""Everything that a build of shards decides, as frozen, validated dataclasses: one place for defaults and bounds.

Commands, `--config` and Python make the same objects; what shapes the records goes from them into dataset.json.
"""

import dataclasses
import re
from pathlib import PurePosixPath

from videorep.bounds import require, require_choice, require_whole
from videorep.config import COMPRESSIONS, DTYPES, SPLITS, STREAMS

MAX_SIDE = 8192
POOL = re.compile(r"mean|none|grid:[1-9][0-9]?x[1-9][0-9]?")
ENGINES = ("auto", "openvino", "onnxruntime", "tensorflow")  # of percepts; behind auto in the order of their speed
ENGINE_PRECISIONS = ("float32", "bfloat16")

FINISH = "finish"  # in place of a part: all of them are there


@dataclasses.dataclass(frozen=True)
class Part:
    """What one of several processes writes of a build: every `of`-th shard of the plan, from number `number` on.

    Args:
        number, of: I and N of I/N, counted from 1.
    Raises:
        ConfigError: `number` is not from 1 to `of`.
    """

    number: int
    of: int

    def __post_init__(self):
        require(1 <= self.number <= self.of, "part", "from 1/N to N/N", str(self))

    def __str__(self):
        return f"{self.number}/{self.of}"


@dataclasses.dataclass(frozen=True)
class ClipsConfig:
    """How videos become clip shards.

    Args:
        labels, split, classes, allow_leaks: See `videorep.data.videos.labels.list_videos`.
        fps: Frames per second to resample to, each the one shown at that moment; None keeps every frame.
        every: Keep each `every`-th frame, from the first of the video or piece on; not together with `fps`.
        size: (height, width) to resize to by area averaging, or the shorter side alone, which keeps each video's
            proportions (the other side is rounded to whole pixels); None keeps each video's.
        quality: Of the JPEG images, 1 to 100; None: PNG, or no images at all, where nothing of a frame is lost.
        sample_seconds: Cut random pieces of this length instead of taking whole videos.
        total_hours: How much to cut in all; None for as many pieces as fit without overlap.
        seed: Decides the order of the records, the pieces, and the sides of a split by share.
        workers: Decoding processes; one per core by default.
        timeout: Seconds without a new frame after which a decoder is stopped; its video gets one more try.
        max_bad_fraction: Give up when more than this share of the videos is bad: unreadable, damaged, too short,
            crashed, timed out, not a file. Duplicates and videos that no list names are not bad.
        keep_partial: Keep the frames that damaged videos yield; dataset.json then tells what is wrong with them.
        name: Leading part of the shards' names.
    Raises:
        ConfigError: a value that makes no sense.
    """

    labels: str | None = None
    split: float | str | None = None
    classes: tuple[str, ...] | str | None = None
    fps: float | None = None
    size: tuple[int, ...] | int | None = None
    quality: int | None = 95
    sample_seconds: float | None = None
    total_hours: float | None = None
    seed: int = 0
    workers: int | None = None
    timeout: float = 60.0
    max_bad_fraction: float = 0.5
    keep_partial: bool = False
    allow_leaks: bool = False
    name: str = "clips"
    every: int | None = None

    def __post_init__(self):
        require(self.fps is None or 0.001 <= self.fps <= 1000, "fps", "from 0.001 to 1000", self.fps)
        require(None in (self.fps, self.every), "every", "without --fps, or left out", self.every)
        sides = self.size if isinstance(self.size, (tuple, list)) and len(self.size) == 2 else (self.size,)
        fits = self.size is None or all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in sides)
        require(fits, "size", f"HEIGHTxWIDTH, or a shorter side, of 1 to {MAX_SIDE} pixels", self.size)
        require_whole(self, 1, *(name for name in ("quality", "workers", "every") if getattr(self, name) is not None))
        for name in ("sample_seconds", "total_hours"):
            value = getattr(self, name)
            require(value is None or 0 < value <= 1e6, name, "above 0 and at most 1,000,000", value)
        both = self.total_hours is None or self.sample_seconds is not None
        require(both, "total_hours", "given together with --sample-seconds", self.total_hours)
        require_whole(self, 0, "seed")
        require(0 < self.timeout <= 1e6, "timeout", "above 0 and at most 1,000,000 seconds", self.timeout)
        require(0 <= self.max_bad_fraction <= 1, "max_bad_fraction", "from 0 to 1", self.max_bad_fraction)

    @property
    def shaping(self):
        """What shapes the records, beside the videos and the seed: part of the build's fingerprint."""
        names = ("fps", "size", "quality", "keep_partial", "sample_seconds", "total_hours")
        return {name: getattr(self, name) for name in names} | ({"every": self.every} if self.every else {})


@dataclasses.dataclass(frozen=True)
class PerceptsConfig:
    """How clip shards become percepts.

    Args:
        backbone, layer, weights: See `videorep.data.percepts.backbones.load_backbone`.
        stream: "rgb", or "flow" for stacks of optical flow (`videorep.data.percepts.flow`). Default: what a run of
            train-stream was trained on; else "rgb".
        flow_stack: L, fields per stack; the network's input has 2L channels. Clips of T frames give T stacks. Default:
            as the run; else 1.
        dtype: "float16" or "float32", how values are stored.
        compression: "" or "gzip": a quarter of the size where most values are zero, slower to read.
        batch_size: Frames per call of the network.
        pool: What becomes of a layer's positions, see `videorep.data.percepts.pooling`.
        engine, precision: What computes the network and in which numbers, see `videorep.data.percepts.engines`.
    Raises:
        ConfigError: a value that makes no sense.
    """

    backbone: str
    layer: tuple[str, ...] | str | None = None
    weights: str = "imagenet"
    stream: str | None = None
    flow_stack: int | None = None
    dtype: str = "float16"
    compression: str = ""
    batch_size: int = 32
    pool: str | None = None
    engine: str = "auto"
    precision: str = "float32"

    def __post_init__(self):
        several = self.layer if isinstance(self.layer, tuple) else ()
        require(len(set(several)) == len(several) != 1, "layer", "different layers", list(several))
        known = self.pool is None or POOL.fullmatch(self.pool)
        require(known, "pool", "mean, none or grid:ROWSxCOLUMNS such as grid:2x2", self.pool)
        if self.stream is not None:
            require_choice(self, "stream", STREAMS)
        require_choice(self, "dtype", DTYPES)
        require(self.compression in COMPRESSIONS, "compression", "gzip, or empty", self.compression)
        require_choice(self, "engine", ENGINES)
        require_choice(self, "precision", ENGINE_PRECISIONS)
        able = self.precision == "float32" or self.engine in ("auto", "openvino")
        require(able, "precision", f"float32 with --engine {self.engine}: only openvino has others", self.precision)
        require_whole(self, 1, "batch_size", *([] if self.flow_stack is None else ["flow_stack"]))


@dataclasses.dataclass(frozen=True)
class FeaturesConfig:
    """How arrays of features that others have made become percepts.

    Args:
        labels, split, classes, allow_leaks: See `videorep.data.videos.labels.list_videos`; labels may also be a folder
            of arrays (L, classes), in which the largest value of a row is the class of that frame.
        match: Pattern of the names of the arrays, such as "*_rgb.npy" or "rgb_*/*.npy"; what its star stands for is the
            video's name.
        array: Name of the array in `.npz` files that hold several.
        fps: Rows per second; by default what files beside the arrays tell, or unknown.
        dtype, compression: As of `PerceptsConfig`.
        seed, max_bad_fraction: As of `ClipsConfig`.
    Raises:
        ConfigError: a value that makes no sense.
    """

    labels: str | None = None
    split: float | str | None = None
    classes: tuple[str, ...] | str | None = None
    match: str = "*.np[yz]"
    array: str | None = None
    fps: float | None = None
    dtype: str = "float16"
    compression: str = ""
    seed: int = 0
    max_bad_fraction: float = 0.5
    allow_leaks: bool = False

    def __post_init__(self):
        named = PurePosixPath(self.match).name and not self.match.startswith("/")
        require(named, "match", "a pattern of names such as *_rgb.npy", self.match)
        require(self.fps is None or 0.001 <= self.fps <= 1000, "fps", "from 0.001 to 1000", self.fps)
        require_choice(self, "dtype", DTYPES)
        require(self.compression in COMPRESSIONS, "compression", "gzip, or empty", self.compression)
        require_whole(self, 0, "seed")
        require(0 <= self.max_bad_fraction <= 1, "max_bad_fraction", "from 0 to 1", self.max_bad_fraction)

    @property
    def shaping(self):
        """As of `ClipsConfig`."""
        return {name: getattr(self, name) for name in ("match", "array", "fps", "dtype", "compression")}


@dataclasses.dataclass(frozen=True)
class MovingMNISTConfig:
    """Which sequences `videorep.data.MovingMNIST` draws into shards.

    Args:
        count: Sequences per split, at most 10 million.
        digits, num_digits, frames, seed: As for `MovingMNIST`; at least 2 frames.
        splits: Names of the splits to write.
    Raises:
        ConfigError: a value that makes no sense.
    """

    count: int
    digits: str = "rendered"
    num_digits: int = 2
    frames: int = 20
    seed: int = 0
    splits: tuple[str, ...] = SPLITS

    def __post_init__(self):
        require_whole(self, 1, "count", "num_digits")
        require_whole(self, 2, "frames")
        require_whole(self, 0, "seed")
