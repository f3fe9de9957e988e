"""What `videorep compare` is asked for. No TensorFlow."""

import dataclasses

from videorep.bounds import LARGEST, require
from videorep.config import MODELS, PRECISIONS, SOFTMAX_STARTS

NONE = "none"


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """A comparison of contenders on labelled shards.

    Args:
        data: Folder of labelled shards with the splits "train" and "test".
        fuse: Folders of other streams of the same videos (optical flow), measured too, and fused with `data`.
        unlabelled: More folders of the same kind, to pretrain on beside the training side of `data`.
        init: Runs of `videorep pretrain` that are contenders too.
        models: Names of the models to pretrain here; "none" for none.
        units, layers: Of the LSTM.
        pretrain_steps: Training steps of each pretraining.
        draws: Draws of labelled videos.
        trials: Settings that each contender tries, at most.
        steps: Training steps of the LSTMs after which they are tried: how long to train is a setting like others.
        softmax: How the LSTMs' softmax may start, see `FinetuneConfig`.
        videos_per_class: Numbers of labelled videos per class to compare at, beside all; none: 1, 2, 4, ...
        precision: Keras dtype policy of the LSTMs.
        seed: Decides every draw.
    """

    data: str
    fuse: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    init: tuple[str, ...] = ()
    models: tuple[str, ...] = MODELS
    units: int = 256
    layers: int = 1
    pretrain_steps: int = 500
    draws: int = 10
    trials: int = 4
    steps: tuple[int, ...] = (60, 120, 240)
    softmax: tuple[str, ...] = SOFTMAX_STARTS
    videos_per_class: tuple[int, ...] = ()
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self):
        for name in self.models:
            require(name in (*MODELS, NONE), "models", f"among {', '.join(MODELS)}, or {NONE}", name)
        require(NONE not in self.models or len(self.models) == 1, "models", f"{NONE} alone, or models", self.models)
        require(self.precision in PRECISIONS[:2], "precision", f"one of {', '.join(PRECISIONS[:2])}", self.precision)
        most_of = {name: LARGEST[name] for name in ("units", "layers")}
        for name, most in (most_of | {"pretrain_steps": 10**9, "draws": 1000, "trials": 16}).items():
            value = getattr(self, name)
            require(type(value) is int and 1 <= value <= most, name, f"a whole number from 1 to {most:,}", value)
        for name in ("steps", "videos_per_class"):
            rising, expected = getattr(self, name), "rising whole numbers from 1 to 1,000,000,000"
            fits = all(type(value) is int and 1 <= value <= 10**9 for value in rising)
            require(fits and list(rising) == sorted(set(rising)), name, expected, rising)
        expected = f"one or both of {', '.join(SOFTMAX_STARTS)}"
        require(bool(self.softmax) and set(self.softmax) <= set(SOFTMAX_STARTS), "softmax", expected, self.softmax)
        require(len(self.steps) > 0, "steps", "at least one number", "none")
        require(0 <= self.seed <= LARGEST["seed"], "seed", f"from 0 to {LARGEST['seed']}", self.seed)
