"""What `videorep compare` is asked for. No TensorFlow."""

import dataclasses

from videorep.bounds import LARGEST, require
from videorep.config import MODELS, PRECISIONS

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
        units: Of the LSTM's one layer.
        pretrain_steps: Training steps of each pretraining.
        draws: Draws of labelled videos.
        trials: Settings that each contender tries, at most.
        precision: Keras dtype policy of the LSTMs.
        seed: Decides every draw.
    """

    data: str
    fuse: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    init: tuple[str, ...] = ()
    models: tuple[str, ...] = MODELS
    units: int = 256
    pretrain_steps: int = 500
    draws: int = 10
    trials: int = 4
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self):
        for name in self.models:
            require(name in (*MODELS, NONE), "models", f"among {', '.join(MODELS)}, or {NONE}", name)
        require(NONE not in self.models or len(self.models) == 1, "models", f"{NONE} alone, or models", self.models)
        require(self.precision in PRECISIONS[:2], "precision", f"one of {', '.join(PRECISIONS[:2])}", self.precision)
        for name, most in (("units", LARGEST["units"]), ("pretrain_steps", 10**9), ("draws", 1000), ("trials", 16)):
            value = getattr(self, name)
            require(type(value) is int and 1 <= value <= most, name, f"a whole number from 1 to {most:,}", value)
        require(0 <= self.seed <= LARGEST["seed"], "seed", f"from 0 to {LARGEST['seed']}", self.seed)
