"""Moving MNIST on the fly: digits that bounce inside a square, endless, every sequence fixed by its number."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videorep.config import SPLITS, require
from videorep.data.digits.mnist import DIGIT_SIZE, describe_digits, load_digits
from videorep.data.sampling import draw_in_order
from videorep.data.threads import release_iterators_at_exit

if TYPE_CHECKING:
    import tensorflow as tf
DRAWS = 4  # per digit of a sequence: x, y, direction, speed; also what one step of Philox' counter yields
MAX_NUM_DIGITS, MAX_FRAMES, MAX_SIZE, MAX_SEED = 100, 10_000, 4096, 2**64 - 1
CHUNK = 64  # sequences that are drawn at once: their frames stay in the processor's cache
MOTION, ORDER = 1, 2  # keep the random streams of trajectories and of digit orders apart


class MovingMNIST:
    """Sequences of digits that move at constant speed and bounce off the borders.

    Sequence n depends on (seed, split, n) alone, never on how sequences are batched or how many frames are asked
    for. Each digit starts uniformly in the unit square, in a uniform direction; a step is taken before the first
    frame; a coordinate that leaves [0, 1] is clamped to the border and its velocity component flips; the pixel
    position is the truncation of travel * x; digits are combined by maximum. Digit images are drawn without
    replacement and reshuffled when all have been used. "train" and "validation" draw from the training digits (with
    other motions), "test" from the test digits.

    Args:
        digits: "rendered", "mnist" or a path; see `videorep.data.digits.mnist.load_digits`.
        num_digits: Digits per sequence, 1 to 100.
        frames: Frames per sequence, 1 to 10,000.
        size: Side of the square frames, 28 to 4096.
        seed: Whole number that selects one of many endless streams.
        split: "train", "validation" or "test".
        speed: Distance per frame as a share of the travel (size - 28 pixels), or (low, high) to draw it uniformly
            for every digit.
    Raises:
        ConfigError: an argument is outside its range.
        DataError: the digits cannot be loaded.
    Source: Srivastava et al. 2015, section 3.2, and the generator that its authors released.
    """

    def __init__(
        self,
        digits: str | Path = "rendered",
        num_digits: int = 2,
        frames: int = 20,
        size: int = 64,
        seed: int = 0,
        split: str = "train",
        speed: float | tuple[float, float] = 0.1,
    ) -> None:
        for name, value, low, high in (
            ("num_digits", num_digits, 1, MAX_NUM_DIGITS),
            ("frames", frames, 1, MAX_FRAMES),
            ("size", size, DIGIT_SIZE, MAX_SIZE),
            ("seed", seed, 0, MAX_SEED),
        ):
            require(low <= value <= high, name, f"from {low} to {high}", value)
        require(split in SPLITS, "split", f"one of {', '.join(SPLITS)}", split)
        low, high = (speed, speed) if np.isscalar(speed) else speed
        require(0 <= low <= high, "speed", "a number of at least 0, or a pair (low, high)", speed)
        self.num_digits, self.frames, self.size = num_digits, frames, size
        self.seed, self.split, self.speed = seed, split, (float(low), float(high))
        self._images, self._description = _load_once(str(digits), "test" if split == "test" else "train")
        self._order = functools.lru_cache(maxsize=4)(self._shuffle)

    @property
    def provenance(self) -> dict:
        """How the sequences come about: enough to make them again."""
        settings = {name: getattr(self, name) for name in ("num_digits", "frames", "size", "seed", "split")}
        return {"generator": "moving-mnist", **self._description, **settings, "speed": list(self.speed)}

    def sequences(self, start: int, count: int) -> np.ndarray:
        """Draws sequences `start` to `start + count - 1`: (count, frames, size, size) uint8."""
        frames = np.zeros((count, self.frames, self.size, self.size), np.uint8)
        for first in range(0, count, CHUNK):
            self._draw(frames[first : first + CHUNK], start + first)
        return frames

    def batch(self, k: int, batch_size: int) -> np.ndarray:
        """Batch k of the endless stream: the same whenever it is asked for."""
        return self.sequences(k * batch_size, batch_size)

    def dataset(self, batch_size: int, start_step: int = 0, part: range | None = None) -> "tf.data.Dataset":
        """The endless stream from batch `start_step` on, as a tf.data.Dataset that draws ahead in the background.

        Yields:
            (batch_size, frames, size, size) uint8; of every batch only the places in `part` where that is given.
        """
        import tensorflow as tf

        part = part or range(batch_size)

        def sequences(k):
            return self.sequences(int(k) * batch_size + part.start, len(part))

        def draw(k):
            frames = tf.numpy_function(sequences, [k], tf.uint8, stateful=False)
            return tf.ensure_shape(frames, (len(part), self.frames, self.size, self.size))

        release_iterators_at_exit()
        return tf.data.Dataset.counter(start_step).map(draw).prefetch(4)

    def positions(self, start: int, count: int) -> np.ndarray:
        """Left and top pixel of every digit: (count, num_digits, frames, 2) int64, as (x, y)."""
        draws = self._generator(MOTION, counter=start * self.num_digits).random((count, self.num_digits, DRAWS))
        low, high = self.speed
        direction, step = 2 * np.pi * draws[..., 2], low + (high - low) * draws[..., 3]
        place = draws[..., :2].copy()
        velocity = step[..., None] * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
        places = np.empty((count, self.num_digits, self.frames, 2))
        for t in range(self.frames):
            place += velocity
            outside = (place < 0) | (place > 1)
            np.clip(place, 0, 1, out=place)
            np.negative(velocity, out=velocity, where=outside)
            places[:, :, t] = place
        return ((self.size - DIGIT_SIZE) * places).astype(np.int64)

    def digit_indices(self, start: int, count: int) -> np.ndarray:
        """Which digit image every digit is: (count, num_digits) int64."""
        draws = start * self.num_digits, count * self.num_digits
        return draw_in_order(self._order, len(self._images), *draws).reshape(count, self.num_digits)

    def _draw(self, frames, start):
        count, length = len(frames), (DIGIT_SIZE - 1) * self.size + DIGIT_SIZE
        positions, indices = self.positions(start, count), self.digit_indices(start, count)
        # every run of `length` bytes of the buffer as one element, so that a digit moves as a single copy
        runs = np.ndarray(frames.size - length + 1, dtype=f"V{length}", buffer=frames, strides=(1,))
        origins = np.arange(count * self.frames).reshape(count, self.frames) * self.size**2
        for digit in range(self.num_digits):
            x, y = positions[:, digit, :, 0], positions[:, digit, :, 1]
            places = origins + y * self.size + x
            ribbons = _as_ribbons(self._images[indices[:, digit]], self.size)[:, None]
            patches = runs[places].view(np.uint8).reshape(count, self.frames, length)
            np.maximum(patches, ribbons, out=patches)
            runs[places] = patches.view(runs.dtype)[..., 0]

    def _generator(self, purpose, epoch=0, counter=0):
        entropy = np.random.SeedSequence([self.seed, SPLITS.index(self.split), purpose, epoch])
        key = entropy.generate_state(2, np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))

    def _shuffle(self, epoch):
        return np.argsort(self._generator(ORDER, epoch).random(len(self._images)), kind="stable")


@functools.lru_cache(maxsize=4)
def _load_once(digits, split):
    images = load_digits(digits, split)
    return images, describe_digits(digits, images)


def _as_ribbons(images, size):
    """Each digit as the run of bytes that it covers in a frame of width `size`: its rows with zeros between them."""
    padded = np.zeros((len(images), DIGIT_SIZE, size), np.uint8)
    padded[:, :, :DIGIT_SIZE] = images
    return np.ascontiguousarray(padded.reshape(len(images), -1)[:, : (DIGIT_SIZE - 1) * size + DIGIT_SIZE])
