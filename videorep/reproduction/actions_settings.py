"""What `videorep reproduce actions` is asked for, and how large it is."""

import dataclasses
import shlex

from videorep.bounds import require
from videorep.build_config import ClipsConfig, PerceptsConfig
from videorep.comparison_config import CompareConfig
from videorep.config import PretrainTrainingConfig
from videorep.reproduction.named_settings import read_settings

# The pretrained models of the paper's table 3, by the names of their runs: model, and decoders that are conditional.
VARIANTS = {
    "autoencoder": ("autoencoder", ()),
    "future-predictor": ("future_predictor", ()),
    "conditional-autoencoder": ("autoencoder", ("reconstruction",)),
    "conditional-future-predictor": ("future_predictor", ("future",)),
    "composite": ("composite", ()),
    "conditional-composite": ("composite", ("future",)),
}


@dataclasses.dataclass(frozen=True)
class Scale:
    """Settings of a reproduction.

    Args:
        units, layers, steps, draws, trials, videos_per_class: As of `CompareConfig`.
        splits: Numbers of the official splits to measure.
        share: Of the training side, where there are no lists.
        size: Shorter side of the frames in pixels.
        pretraining: PretrainTrainingConfig, whose precision and seed are those of all that is trained.
        models: Names of `VARIANTS`; of flow the composite alone is pretrained.
    """

    units: int
    layers: int
    steps: tuple[int, ...]
    draws: int
    trials: int
    videos_per_class: tuple[int, ...]
    splits: tuple[int, ...]
    share: float
    size: int
    pretraining: PretrainTrainingConfig
    models: tuple[str, ...] = tuple(VARIANTS)

    def __post_init__(self):
        self.comparison("", (), (), self.videos_per_class)  # refuses what a comparison refuses
        for name in self.models:
            require(name in VARIANTS, "models", f"among {', '.join(VARIANTS)}", name)
        fits = len(self.splits) > 0 and set(self.splits) <= {1, 2, 3}
        require(fits, "splits", "some of 1, 2 and 3", self.splits)
        require(0 < self.share < 1, "share", "between 0 and 1", self.share)
        self.clips()

    def clips(self):
        """The ClipsConfig of every data set: without labels, which the splits give."""
        return ClipsConfig(size=self.size, seed=self.pretraining.seed)

    def comparison(self, data, fuse, init, counts):
        """The CompareConfig of one split."""
        same = {name: getattr(self, name) for name in ("units", "layers", "steps", "draws", "trials")}
        trained = {"precision": self.pretraining.precision, "seed": self.pretraining.seed, "softmax": ("random",)}
        return CompareConfig(data, fuse, (), init, ("none",), videos_per_class=tuple(counts), **same, **trained)


@dataclasses.dataclass(frozen=True)
class Request:
    """What `videorep reproduce actions` is asked for.

    Args:
        data: ((name, folder of videos, folder of lists or ""), ...), the names "ucf101", "hmdb51" or "folders".
        scale: One of `videorep.reproduction.named_settings.SCALES`.
        settings: TOML file of other settings, or None.
        backbone, weights: Convnet of the frames, see `PerceptsConfig`.
        flow_backbone, flow_stack: Convnet of optical flow, or None.
        unlabelled: Folders of percepts of the same convnet to pretrain on, instead of each training side.
    """

    data: tuple
    scale: str
    settings: str | None
    backbone: str
    weights: str = "imagenet"
    flow_backbone: str | None = None
    flow_stack: int | None = None
    unlabelled: tuple = ()

    def read_scale(self):
        """The `Scale`: the named one, changed by the file of one's own."""
        return read_settings(Scale, f"actions-{self.scale}", self.settings)

    def streams(self):
        """{"rgb" and "flow": PerceptsConfig}."""
        streams = {"rgb": PerceptsConfig(self.backbone, weights=self.weights, stream="rgb")}
        if self.flow_backbone:
            streams["flow"] = PerceptsConfig(self.flow_backbone, stream="flow", flow_stack=self.flow_stack)
        return streams

    def command(self, out):
        """The command line that asks for this."""
        words = ["videorep", "reproduce", "actions"]
        for name, videos, lists in self.data:
            words += [f"--{name}", videos, lists] if lists else [videos]
        given = {"scale": self.scale, "config": self.settings, "backbone": self.backbone}
        given |= {"weights": self.weights if self.weights != "imagenet" else None}
        given |= {"flow-backbone": self.flow_backbone, "flow-stack": self.flow_stack}
        options = [*given.items(), *(("unlabelled", path) for path in self.unlabelled), ("out", str(out))]
        return shlex.join(
            words + [str(w) for name, value in options if value is not None for w in (f"--{name}", value)]
        )
