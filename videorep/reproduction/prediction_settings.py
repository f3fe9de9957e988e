"""What `videorep reproduce prediction` is asked for, and how large it is."""

import dataclasses
import shlex

from videorep.bounds import require
from videorep.config import DataConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.reproduction.named_settings import read_settings

# The models of the paper's table 2, worst first, by the names of their runs: model, and decoders that are conditional.
VARIANTS = {
    "future-predictor": ("future_predictor", ()),
    "composite": ("composite", ()),
    "conditional-future-predictor": ("future_predictor", ("future",)),
    "conditional-composite": ("composite", ("future",)),
}
DIGITS, PATCHES = "moving-mnist", "patches"


@dataclasses.dataclass(frozen=True)
class Part:
    """Sequences of one kind: their frames, how models are trained on them, and the `side` of patches."""

    input_frames: int
    future_frames: int
    training: PretrainTrainingConfig
    side: int = 0


@dataclasses.dataclass(frozen=True)
class PredictionScale:
    """Settings of a reproduction.

    Args:
        units, layers: Of every LSTM.
        seeds: Of the trainings of every model.
        sequences: Of the test side, on which models are scored.
        digits, patches: `Part`.
        models: Names of `VARIANTS`.
    """

    units: int
    layers: int
    seeds: tuple[int, ...]
    sequences: int
    digits: Part
    patches: Part
    models: tuple[str, ...] = tuple(VARIANTS)

    def __post_init__(self):
        require(len(self.seeds) > 0 and len(set(self.seeds)) == len(self.seeds), "seeds", "different ones", self.seeds)
        require(self.sequences >= 2, "sequences", "at least 2", self.sequences)
        require(len(self.models) > 0, "models", "at least one", self.models)
        for name in self.models:
            require(name in VARIANTS, "models", f"among {', '.join(VARIANTS)}", name)
        for seed in self.seeds:
            for data in (DIGITS, PATCHES):
                self.run(data, DataConfig(), self.models[0], seed)  # refuses what a run refuses

    def part(self, data):
        """The `Part` of DIGITS or PATCHES."""
        return self.digits if data == DIGITS else self.patches

    def run(self, data, source, name, seed):
        """The PretrainConfig of one training on a DataConfig."""
        part, (model, conditional) = self.part(data), VARIANTS[name]
        shape = ModelConfig(model, 0, (self.units,) * self.layers, part.input_frames, part.future_frames, conditional)
        return PretrainConfig(shape, source, dataclasses.replace(part.training, seed=seed))


@dataclasses.dataclass(frozen=True)
class PredictionRequest:
    """What `videorep reproduce prediction` is asked for.

    Args:
        scale: One of `videorep.reproduction.named_settings.SCALES`.
        digits: MNIST's folder, or "rendered".
        patches: Folder of clip shards with the splits "train" and "test", or None.
        settings: TOML file of other settings, or None.
    """

    scale: str
    digits: str
    patches: str | None = None
    settings: str | None = None

    def read_scale(self):
        """The `PredictionScale`: the named one, changed by the file of one's own."""
        return read_settings(PredictionScale, f"prediction-{self.scale}", self.settings)

    def sources(self, scale):
        """{DIGITS and PATCHES, as far as asked for: DataConfig}."""
        sources = {DIGITS: DataConfig(digits=self.digits)}
        if self.patches:
            sources[PATCHES] = DataConfig(self.patches, patch=scale.patches.side)
        return sources

    def command(self, out):
        """The command line that asks for this."""
        given = {"scale": self.scale, "digits": self.digits, "patches": self.patches, "config": self.settings}
        options = [word for name, value in given.items() if value is not None for word in (f"--{name}", value)]
        return shlex.join(["videorep", "reproduce", "prediction", *options, "--out", str(out)])
