"""Options and arguments that several commands share, and how they reach the configuration."""

import dataclasses
import re

import click

from videorep.bounds import LARGEST
from videorep.cli.errors import DRY_RUN, OUTPUT, RESUMABLE
from videorep.cli.settings import setting
from videorep.config import BRANCHES, OPTIMIZERS, PRECISIONS, DataConfig, ModelConfig
from videorep.progress import make_progress


class FrameSize(click.ParamType):
    """Height and width of frames, written HxW, or their shorter side."""

    name = "HxW|SIDE"

    def convert(self, value, param, ctx):
        if isinstance(value, (int, tuple)):
            return value
        sides = value.lower().split("x")
        if len(sides) > 2 or not all(re.fullmatch("0*[1-9][0-9]{0,8}", side) for side in sides):
            self.fail(f"expected height x width such as 120x160, or a shorter side, received {value!r}", param, ctx)
        return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


class CommaList(click.ParamType):
    """One or several of `choices`, separated by commas; the option may also be repeated."""

    name = "list"

    def __init__(self, choices):
        self.choices = tuple(choices)

    def get_metavar(self, param, ctx=None):
        return "[" + "|".join(self.choices) + "]"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(","))
        for name in names:
            if name not in self.choices:
                self.fail(f"{name!r} is not one of {', '.join(map(repr, self.choices))}", param, ctx)
        return names


def combine(*decorators):
    """One decorator that adds several options, which `--help` lists in this order."""

    def decorate(function):
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def work(ctx):
    """What the options of `long_work` decide, and who tells how far it is, for the function that works long."""
    return {name: ctx.params[name] for name in ("resume", "overwrite", "dry_run")} | {"progress": make_progress()}


def data_like(run, path, digits=None):
    """The DataConfig of `run` for the data at `path`: the same treatment of pixels, other digits if given."""
    changes = {"path": path} | ({"digits": digits} if digits else {})
    return dataclasses.replace(run.config.data, **changes)


def _remember(key):
    """A callback that notes the option's value where the error messages find it."""

    def callback(ctx, param, value):
        ctx.meta[key] = value
        return value

    return callback


data_argument = click.argument("data", metavar="DATA")
data_setting = click.argument("data__path", metavar="DATA")
run_argument = click.argument("run", metavar="RUN")

out_folder = click.option(
    "--out", required=True, metavar="DIR", callback=_remember(OUTPUT), help="Folder that this makes."
)
out_run = click.option(
    "--out", required=True, metavar="RUN", callback=_remember(OUTPUT), help="Folder of the run that this makes."
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace what lies there.")
moved_backbone = click.option(
    "--backbone",
    multiple=True,
    metavar="FILE|RUN",
    help="The convnet of the run's percepts, where it has moved; compared by hash.",
)
direct = click.option(
    "--direct",
    is_flag=True,
    help="Leave out what only shards need: frames skip JPEG, percepts their storage type. Figures differ a little from "
    "those of evaluate.",
)
resume = click.option(
    "--resume",
    is_flag=True,
    callback=_remember(RESUMABLE),
    help="Go on where the same command was interrupted; start afresh where nothing was begun.",
)
dry_run = click.option(
    "--dry-run", is_flag=True, callback=_remember(DRY_RUN), help="Tell what would happen; write nothing."
)
long_work = combine(resume, overwrite, dry_run)
config_file = click.option(
    "--config", "config_path", metavar="FILE.toml", help="Settings; options given here overrule them."
)

_data = DataConfig()

digits = setting(
    "data.digits",
    "--digits",
    default=_data.digits,
    metavar="[rendered|mnist|PATH]",
    help="Digits of moving-mnist: drawn here, MNIST from Keras, or your idx or npz files.",
)
other_digits = click.option(
    "--digits", metavar="[rendered|mnist|PATH]", help="Digits of moving-mnist; as trained unless given."
)
num_digits = setting(
    "data.num_digits", "--num-digits", type=int, default=_data.num_digits, help="Digits per moving-mnist sequence."
)
conditional = setting(
    "model.conditional",
    "--conditional",
    type=CommaList(BRANCHES),
    multiple=True,
    default=(),
    callback=lambda ctx, param, values: tuple(dict.fromkeys(name for names in values for name in names)),
    help="Decoders that are fed with the frame before; none unless given.",
)
standardise = setting(
    "model.standardise",
    "--standardise",
    is_flag=True,
    default=False,
    help="Let the model see every feature of percepts, or the pixels of clips, with mean 0 and deviation 1.",
)
_model = ModelConfig()

units = click.option(
    "--units",
    type=click.IntRange(1, LARGEST["units"]),
    default=_model.units[0],
    help="Size of each layer; the paper's is 2048.",
)
layers = click.option(
    "--layers",
    type=click.IntRange(1, LARGEST["layers"]),
    default=len(_model.units),
    help="Number of LSTM layers; the paper has 2.",
)


def training_settings(defaults):
    """The options of a TrainingConfig whose fields are these by default."""
    return combine(
        setting("training.steps", "--steps", type=int, default=defaults.steps, help="Training steps."),
        setting(
            "training.batch_size", "--batch-size", type=int, default=defaults.batch_size, help="Examples per step."
        ),
        setting("training.optimizer", "--optimizer", type=click.Choice(OPTIMIZERS), default=defaults.optimizer),
        setting("training.learning_rate", "--learning-rate", type=float, default=defaults.learning_rate),
        setting("training.precision", "--precision", type=click.Choice(PRECISIONS), default=defaults.precision),
        setting("training.seed", "--seed", type=int, default=defaults.seed, help="Decides every draw."),
    )
