"""Everything that a run decides, as frozen, validated dataclasses: TOML in, JSON out."""

import dataclasses
import json
import tomllib
import types
import typing

from videorep.bounds import LARGEST, LARGEST_FLOAT, is_whole, require, require_choice, require_whole, whole
from videorep.errors import ConfigError
from videorep.storage import read_file

MODELS = ("autoencoder", "future_predictor", "composite")
CLASSIFIERS = ("lstm", "single-frame")
LOSSES = ("all", "last")  # the steps of a block that a classifier's loss is of
BRANCHES = ("reconstruction", "future")
OUTPUTS = ("auto", "bernoulli", "gaussian")
OPTIMIZERS = ("sgd", "rmsprop", "adam")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
FEEDINGS = ("teacher", "own")
STREAMS = ("flow", "rgb")
DIGITS = ("mnist", "rendered")
SPLITS = ("train", "validation", "test")  # of moving-mnist
DTYPES = ("float16", "float32")  # of percepts
COMPRESSIONS = ("", "gzip")
TOML_BYTES = 1 << 16
TOML_DOTS = 100  # in a line: a key of many parts takes memory and time that grow with their square


def _require_layers(config):
    units, most, largest = config.units, LARGEST["layers"], LARGEST["units"]
    fits = isinstance(units, tuple) and 0 < len(units) <= most and all(is_whole(size, 1, largest) for size in units)
    require(fits, "units", f"one whole number from 1 to {largest:,} per layer, of 1 to {most} layers", units)
    object.__setattr__(config, "units", tuple(whole("units", size) for size in units))


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Shape of an encoder-decoder; the arguments of `videorep.models.build_model`.

    `features` 0 and `output` "auto" are decided by the data: pixels are "bernoulli", percepts "gaussian".
    `standardise`: the model works on percepts of mean 0 and deviation 1 per feature; what goes in and out is as stored.
    """

    name: str = "composite"
    features: int = 0
    units: tuple[int, ...] = (512,)
    input_frames: int = 10
    future_frames: int = 10
    conditional: tuple[str, ...] = ()
    output: str = "auto"
    standardise: bool = False

    def __post_init__(self):
        require_choice(self, "name", MODELS)
        require_choice(self, "output", OUTPUTS)
        fits = not (self.standardise and self.output == "bernoulli")
        require(fits, "output", "gaussian with standardise", self.output)
        require_whole(self, 1, "input_frames", "future_frames")
        require_whole(self, 0, "features")
        _require_layers(self)
        for branch in self.conditional:
            require(
                branch in self.branches, "conditional", f"among {', '.join(self.branches)} of a {self.name}", branch
            )

    @property
    def branches(self):
        """The decoders this model has, in the order of `BRANCHES`."""
        return {"autoencoder": BRANCHES[:1], "future_predictor": BRANCHES[1:], "composite": BRANCHES}[self.name]

    @property
    def sequence_frames(self):
        """Frames that one training sequence needs: the input, and the future where there is one."""
        return self.input_frames + (self.future_frames if "future" in self.branches else 0)


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """Shape of an action classifier (paper section 3.3); `features` 0 and empty `classes` are decided by the data.

    `standardise`: as in `ModelConfig`; a pretrained encoder brings its own choice. `loss`: of "all" steps of a block,
    or of the "last", for a state that will be carried on.
    """

    name: str = "lstm"
    features: int = 0
    units: tuple[int, ...] = (512,)
    classes: tuple[str, ...] = ()
    block_frames: int = 16
    block_stride: int = 8
    dropout: float = 0.5
    freeze_encoder: bool = False
    standardise: bool = False
    loss: str = "all"

    def __post_init__(self):
        require_choice(self, "name", CLASSIFIERS)
        require_choice(self, "loss", LOSSES)
        _require_layers(self)
        require_whole(self, 1, "block_frames", "block_stride")
        require_whole(self, 0, "features")
        require(0.0 <= self.dropout < 1.0, "dropout", "in [0, 1)", self.dropout)

    @property
    def block(self):
        """Frames of a block, and between the starts of neighbouring blocks; the baseline sees every frame alone."""
        return (1, 1) if self.name == "single-frame" else (self.block_frames, self.block_stride)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where frames come from and how they become (T, D) arrays; `also` are more folders, for pretraining."""

    path: str = "moving-mnist"
    also: tuple[str, ...] = ()
    digits: str = "rendered"
    num_digits: int = 2
    colour: bool = False
    patch: int = 0
    stride: int = 8
    videos_per_class: int = 0

    def __post_init__(self):
        require_whole(self, 1, "num_digits", "stride")
        require_whole(self, 0, "patch", "videos_per_class")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained. The learning rate warms up linearly, then falls along a cosine."""

    steps: int = 1000
    batch_size: int = 64
    optimizer: str = "rmsprop"
    learning_rate: float = 3e-3
    momentum: float = 0.9
    decay: float = 0.99
    warmup_steps: int = 100
    final_fraction: float = 0.02
    clip_norm: float = 100.0
    feeding: str = "teacher"
    precision: str = "float32"
    seed: int = 0
    report_every: int = 50
    checkpoint_every: int = 500
    evaluate_every: int = 0
    evaluation_sequences: int = 500

    def __post_init__(self):
        require_choice(self, "optimizer", OPTIMIZERS)
        require_choice(self, "precision", PRECISIONS)
        require_choice(self, "feeding", FEEDINGS)
        require_whole(self, 1, "steps", "batch_size", "report_every", "checkpoint_every", "evaluation_sequences")
        for name in ("learning_rate", "clip_norm"):
            expected = f"greater than 0 and at most {LARGEST_FLOAT:g}"
            require(0 < getattr(self, name) <= LARGEST_FLOAT, name, expected, getattr(self, name))
        for name in ("momentum", "decay"):
            require(0 <= getattr(self, name) < 1, name, "in [0, 1)", getattr(self, name))
        require(0 <= self.final_fraction <= 1, "final_fraction", "in [0, 1]", self.final_fraction)
        require_whole(self, 0, "warmup_steps", "evaluate_every", "seed")


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """A run of `videorep pretrain`."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    kind: typing.Literal["pretrain"] = "pretrain"


@dataclasses.dataclass(frozen=True)
class FinetuneConfig:
    """A run of `videorep finetune`; `init` is the pretrained run's folder, or empty for random weights."""

    model: ClassifierConfig = ClassifierConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    init: str = ""
    kind: typing.Literal["finetune"] = "finetune"

    def __post_init__(self):
        frozen, single = self.model.freeze_encoder, self.model.name == "single-frame"
        require(self.init or not frozen, "freeze_encoder", "off without init: random weights are no encoder", frozen)
        require(not (self.init and single), "init", "empty with single-frame, which has no encoder", self.init)


@dataclasses.dataclass(frozen=True)
class StreamModelConfig:
    """Shape of the temporal-stream convnet; empty `classes` are decided by the data."""

    stream: str = "flow"
    flow_stack: int = 10
    classes: tuple[str, ...] = ()
    dropout: float = 0.9

    def __post_init__(self):
        require_choice(self, "stream", STREAMS)
        require_whole(self, 1, "flow_stack")
        require(0.0 <= self.dropout < 1.0, "dropout", "in [0, 1)", self.dropout)


@dataclasses.dataclass(frozen=True)
class StreamTrainingConfig(TrainingConfig):
    """As `TrainingConfig`, for a convnet of 90 million weights, which diverges at the LSTMs' rate."""

    optimizer: str = "sgd"
    learning_rate: float = 2e-3
    report_every: int = 10
    checkpoint_every: int = 50


@dataclasses.dataclass(frozen=True)
class StreamConfig:
    """A run of `videorep train-stream`."""

    model: StreamModelConfig = StreamModelConfig()
    data: DataConfig = DataConfig()
    training: StreamTrainingConfig = StreamTrainingConfig()
    kind: typing.Literal["stream"] = "stream"


KINDS = {"pretrain": PretrainConfig, "finetune": FinetuneConfig, "stream": StreamConfig}


def from_dict(cls, values, where="configuration"):
    """Builds dataclass `cls` from nested plain values.

    Raises:
        ConfigError: an unknown key, or a value of the wrong type.
    """
    require(isinstance(values, dict), where, "a table of settings", values)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in values:
        require(key in fields, f"every key of {where}", f"one of {', '.join(fields)}", key)
    hints = typing.get_type_hints(cls)
    return cls(**{key: _convert(hints[key], value, f"{where}.{key}") for key, value in values.items()})


def _convert(hint, value, where):
    if isinstance(hint, types.UnionType):  # the kind that the value is of, or can be made into: the first
        kinds = typing.get_args(hint)
        hint = next((kind for kind in kinds if isinstance(value, typing.get_origin(kind) or kind)), kinds[0])
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where)
    if typing.get_origin(hint) is typing.Literal:
        (kind,) = typing.get_args(hint)
        require(value == kind, where, repr(kind), value)
        return value
    if typing.get_origin(hint) is tuple:
        items = value if isinstance(value, (list, tuple)) else [value]  # one value is a list of one
        element = typing.get_args(hint)[0]
        return tuple(_convert(element, item, where) for item in items)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        require(abs(value) <= LARGEST_FLOAT, where, f"at most {LARGEST_FLOAT:g}", value)
        return float(value)
    fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    require(fits, where, f"of type {hint.__name__}", value)
    require(hint is not str or "\0" not in value, where, "text without zero bytes", value)
    return value


def to_dict(config):
    """The nested plain values of a configuration."""
    return dataclasses.asdict(config)


def to_json(config):
    """The configuration as indented JSON, keys in the order of their fields."""
    return json.dumps(to_dict(config), indent=2) + "\n"


def read_toml(path):
    """Reads a TOML file into nested plain values.

    Raises:
        ConfigError: the file is missing, is not TOML, or is larger than any file of settings.
    """
    try:
        text = read_file(path, TOML_BYTES)
        deepest = max(line.count(b".") for line in text.split(b"\n"))
        require(deepest <= TOML_DOTS, f"{path}", f"lines of at most {TOML_DOTS} dots", f"one of {deepest:,}")
        return tomllib.loads(text.decode())
    except OSError as error:
        raise ConfigError(
            f"expected a readable TOML file at {path}, received: {error.strerror}; check --config"
        ) from error
    except ConfigError:
        raise
    except RecursionError as error:
        raise ConfigError(f"expected TOML in {path}, received lists or tables too deep; mend the file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected TOML in {path}, received: {error}; mend the file") from error
    except ValueError as error:
        raise ConfigError(f"expected TOML in {path}, received a number of too many digits; mend the file") from error
