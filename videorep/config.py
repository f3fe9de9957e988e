"""Everything that a run decides, as frozen, validated dataclasses."""

import dataclasses
import typing

from videorep.bounds import LARGEST, LARGEST_FLOAT, is_whole, require, require_choice, require_whole, whole
from videorep.recipes import RECIPES

MODELS = ("autoencoder", "future_predictor", "composite")
CLASSIFIERS = ("lstm", "single-frame")
LOSSES = ("all", "last")  # the steps of a block that a classifier's loss is of
BRANCHES = ("reconstruction", "future")
AUTO = "auto"  # decided by what else is given
OUTPUTS = (AUTO, "bernoulli", "gaussian")
OPTIMIZERS = ("sgd", "rmsprop", "adam", "bounded-rmsprop")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
STRATEGIES = ("one", "mirrored", "multi-worker")
FEEDINGS = ("teacher", "own", "scheduled")
SOFTMAX_STARTS = ("regression", "random")
STREAMS = ("flow", "rgb")
DIGITS = ("mnist", "rendered")
MOVING_MNIST = "moving-mnist"
SPLITS = ("train", "validation", "test")  # of moving-mnist
DTYPES = ("float16", "float32")  # of percepts
COMPRESSIONS = ("", "gzip")


def are_shards(path):
    """Whether DATA names a folder of shards: neither the word moving-mnist nor the community's file of it, an .npy."""
    return path != MOVING_MNIST and not path.lower().endswith(".npy")


def _fill(config, name, value):
    if getattr(config, name) is None:
        object.__setattr__(config, name, value)


def _require_layers(config):
    units, most, largest = config.units, LARGEST["layers"], LARGEST["units"]
    fits = isinstance(units, tuple) and 0 < len(units) <= most and all(is_whole(size, 1, largest) for size in units)
    require(fits, "units", f"one whole number from 1 to {largest:,} per layer, of 1 to {most} layers", units)
    object.__setattr__(config, "units", tuple(whole("units", size) for size in units))


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Shape of an encoder-decoder; the arguments of `videorep.models.build_model`.

    `features` 0 and `output` "auto" are decided by the data: whole frames of pixels are "bernoulli", patches (as in
    the paper) and percepts "gaussian".
    `standardise`: the model works on percepts of mean 0 and deviation 1 per feature; what goes in and out is as stored.
    """

    name: str = "composite"
    features: int = 0
    units: tuple[int, ...] = (512,)
    input_frames: int = 10
    future_frames: int = 10
    conditional: tuple[str, ...] = ()
    output: str = AUTO
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
    or of the "last", for a state that will be carried on. Where not given, `block_stride` is half a block, and
    `dropout` 0.5 between the layers of an LSTM; single frames are logistic regression without.
    """

    name: str = "lstm"
    features: int = 0
    units: tuple[int, ...] = (512,)
    classes: tuple[str, ...] = ()
    block_frames: int = 16
    block_stride: int | None = None
    dropout: float | None = None
    freeze_encoder: bool = False
    standardise: bool = False
    loss: str = "all"

    def __post_init__(self):
        require_choice(self, "name", CLASSIFIERS)
        require_choice(self, "loss", LOSSES)
        _require_layers(self)
        require_whole(self, 1, "block_frames")
        _fill(self, "block_stride", max(1, self.block_frames // 2))
        _fill(self, "dropout", 0.5 if self.name == "lstm" else 0.0)
        require_whole(self, 1, "block_stride")
        require_whole(self, 0, "features")
        require(0.0 <= self.dropout < 1.0, "dropout", "in [0, 1)", self.dropout)

    @property
    def block(self):
        """Frames of a block, and between the starts of neighbouring blocks; the baseline sees every frame alone."""
        return (1, 1) if self.name == "single-frame" else (self.block_frames, self.block_stride)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where frames come from and how they become (T, D) arrays; `also` are more folders, for pretraining.

    `speed` of digits: a share of the way per frame, or the least and the most, between which every digit's is drawn.
    """

    path: str = MOVING_MNIST
    also: tuple[str, ...] = ()
    digits: str = "rendered"
    num_digits: int = 2
    speed: tuple[float, ...] = (0.1, 0.1)
    colour: bool = False
    patch: int = 0
    stride: int = 8
    videos_per_class: int = 0

    def __post_init__(self):
        require_whole(self, 1, "num_digits", "stride")
        require_whole(self, 0, "patch", "videos_per_class")
        object.__setattr__(self, "speed", self.speed * (2 if len(self.speed) == 1 else 1))
        fits = len(self.speed) == 2 and 0 <= self.speed[0] <= self.speed[1] <= 1
        require(fits, "speed", "a share in [0, 1], or two, the lower first", self.speed)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained. The learning rate warms up linearly, then falls along a cosine.

    `weight_decay`: share of every matrix taken off per step, times the learning rate (decoupled: Loshchilov and Hutter
    2019). `patience`: evaluations without a smaller validation loss after which training ends with the best weights;
    0 trains to the last step. `feeding`: what conditional decoders are fed with in training: the true frame before,
    their own output, or from one to the other (`videorep.training.feeding`); elsewhere it is their own output.
    """

    steps: int = 1000
    batch_size: int = 64
    optimizer: str = "rmsprop"
    learning_rate: float = 3e-3
    momentum: float = 0.9
    decay: float = 0.99
    warmup_steps: int = 100
    final_fraction: float = 0.02
    clip_norm: float = 100.0
    weight_decay: float = 0.0
    patience: int = 0
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
        bounded = self.optimizer == "bounded-rmsprop"
        require(self.momentum > 0 or not bounded, "momentum", "greater than 0 with bounded-rmsprop", self.momentum)
        for name in ("final_fraction", "weight_decay"):
            require(0 <= getattr(self, name) <= 1, name, "in [0, 1]", getattr(self, name))
        require_whole(self, 0, "warmup_steps", "evaluate_every", "patience", "seed")
        expected = "0 without evaluate_every (--evaluate-every), which sets how often the validation loss is looked at"
        require(not self.patience or self.evaluate_every, "patience", expected, self.patience)


@dataclasses.dataclass(frozen=True)
class PretrainTrainingConfig(TrainingConfig):
    """As `TrainingConfig`, for encoder-decoders; what is None is as the `recipe`, one of `RECIPES`, has it.

    `start_at_mean`: whether the first frames that a model gives are the mean of its data, by the read-outs' biases.
    """

    recipe: str = "modern"
    steps: int = 4000
    batch_size: int | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    momentum: float | None = None
    decay: float | None = None
    warmup_steps: int | None = None
    final_fraction: float | None = None
    start_at_mean: bool | None = None

    def __post_init__(self):
        require_choice(self, "recipe", tuple(RECIPES))
        for name, value in RECIPES[self.recipe].items():
            _fill(self, name, value)
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """A run of `videorep pretrain`; `init` is the folder of one whose model it trains on, or empty."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    training: PretrainTrainingConfig = PretrainTrainingConfig()
    init: str = ""
    kind: typing.Literal["pretrain"] = "pretrain"


@dataclasses.dataclass(frozen=True)
class FinetuneConfig:
    """A run of `videorep finetune`; `init` is the pretrained run's folder, or empty for random weights.

    `softmax`: how it starts, "regression" (on the LSTMs' states) or "random"; "auto" is the former with `init`, the
    latter without. `encoder_rate`: the LSTMs' learning rate as a share of the softmax's.
    """

    model: ClassifierConfig = ClassifierConfig()
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    init: str = ""
    softmax: str = AUTO
    encoder_rate: float = 1.0
    kind: typing.Literal["finetune"] = "finetune"

    def __post_init__(self):
        frozen, single = self.model.freeze_encoder, self.model.name == "single-frame"
        require(self.init or not frozen, "freeze_encoder", "off without init: random weights are no encoder", frozen)
        require_choice(self, "softmax", (AUTO, *SOFTMAX_STARTS))
        require(not (single and self.softmax == "regression"), "softmax", "random with single-frame", self.softmax)
        require(0 <= self.encoder_rate <= 1, "encoder_rate", "in [0, 1]", self.encoder_rate)
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
