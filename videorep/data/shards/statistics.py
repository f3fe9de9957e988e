"""Mean, deviation and share of zeros of every feature, gathered shard by shard so that a build can resume."""

import numpy as np

from videorep.errors import ConfigError

DIGITS = 7
CONSTANT = 1e-4  # a feature that deviates less than this share of its mean does not vary


class FeatureStatistics:
    """Sums over frames in float64; the order of `add` and `merge` decides the last bits, so keep the shards' order."""

    def __init__(self):
        self._frames = 0
        self._sums = None

    def add(self, array):
        """Takes in (T, D) frames."""
        frames = np.asarray(array, np.float64)
        sums = np.stack([frames.sum(0), np.square(frames).sum(0), (frames == 0).sum(0)])
        self._sums = sums if self._sums is None else self._sums + sums
        self._frames += len(frames)

    def to_plain(self):
        """The sums as JSON values, for a journal."""
        return {"frames": self._frames, "sums": None if self._sums is None else self._sums.tolist()}

    def merge(self, plain):
        """Takes in what `to_plain` gave."""
        if plain["sums"] is not None:
            sums = np.array(plain["sums"])
            self._sums = sums if self._sums is None else self._sums + sums
            self._frames += plain["frames"]

    def moments(self):
        """{"mean", "deviation", "zeros"}: (D,) float64 each, of the frames seen so far, at least one."""
        mean, square, zeros = self._sums / self._frames
        return {"mean": mean, "deviation": np.sqrt(np.maximum(square - np.square(mean), 0)), "zeros": zeros}

    def summary(self, split):
        """{"split", "frames", "mean", "deviation", "zeros"}: lists of D numbers; None where no frame was seen."""
        if self._sums is None:
            return None
        rounded = {key: [float(f"{value:.{DIGITS}g}") for value in values] for key, values in self.moments().items()}
        return {"split": split, "frames": self._frames} | rounded


def pool_moments(statistics, weights):
    """Mean and deviation, (D,) float64 each, of all of several sets together, each of a weight.

    None where those of one set, {"mean": (D,), "deviation": (D,)}, are not known.
    """
    if None in statistics:
        return None
    means, deviations = (np.array([each[key] for each in statistics], np.float64) for key in ("mean", "deviation"))
    mean = np.average(means, 0, weights)
    square = np.average(np.square(means) + np.square(deviations), 0, weights)
    return {"mean": mean, "deviation": np.sqrt(np.maximum(square - np.square(mean), 0))}


def standardising_constants(statistics):
    """What makes every feature's mean 0 and its deviation 1; a feature that does not vary only loses its mean.

    Returns:
        (mean, deviation): (D,) float32 each, every deviation greater than 0.
    Raises:
        ConfigError: there are no statistics, as in dataset.json.
    """
    if statistics is None:
        raise ConfigError(
            "expected percepts or clips for standardise, received frames whose statistics are not known; leave it out"
        )
    mean, deviation = (np.array(statistics[key], np.float32) for key in ("mean", "deviation"))
    return mean, np.where(deviation > CONSTANT * np.abs(mean), deviation, np.float32(1))
