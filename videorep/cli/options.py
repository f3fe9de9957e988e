"""Options and arguments that several commands share, and how they reach the configuration."""

import dataclasses

import click

from videorep.bounds import LARGEST
from videorep.cli.errors import DRY_RUN, OUTPUT, RESUMABLE
from videorep.cli.parameter_types import CommaList, Speed
from videorep.cli.settings import setting
from videorep.config import BRANCHES, MOVING_MNIST, OPTIMIZERS, PRECISIONS, STRATEGIES, DataConfig, ModelConfig
from videorep.progress import make_progress

OF_DIGITS = ("digits", "num_digits", "speed")


def combine(*decorators):
    """One decorator that adds several options, which `--help` lists in this order."""

    def decorate(function):
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def work(ctx):
    """What the options of `long_work` decide, and who tells how far it is, for the function that works long."""
    names = [name for name in ("resume", "overwrite", "dry_run", "strategy") if name in ctx.params]
    return {name: ctx.params[name] for name in names} | {"progress": make_progress()}


def data_like(run, path=None):
    """The DataConfig of `run` for the data at `path`: the same treatment of pixels, other digits as options say."""
    given = click.get_current_context().params
    changes = {name: given[name] for name in OF_DIGITS if given.get(name) is not None}
    if changes and (path or run.config.data.path) != MOVING_MNIST:
        raise click.UsageError("--digits, --num-digits and --speed are of moving-mnist alone.")
    changes |= {"path": path, "also": ()} if path else {}
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
    metavar="FILE|RUN|hub:FOLDER",
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
strategy = click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default=STRATEGIES[0],
    help="Train on one device, on all of this machine, or on the workers that TF_CONFIG or SLURM names, which share "
    "each batch.",
)
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
other_digits = combine(
    click.option("--digits", metavar="[rendered|mnist|PATH]", help="Digits of moving-mnist; as trained unless given."),
    click.option("--num-digits", type=click.IntRange(1, 100), help="Digits per sequence; as trained unless given."),
    click.option("--speed", type=Speed(), help="Of moving-mnist, see pretrain; as trained unless given."),
)
num_digits = setting(
    "data.num_digits", "--num-digits", type=int, default=_data.num_digits, help="Digits per moving-mnist sequence."
)
speed = setting(
    "data.speed",
    "--speed",
    type=Speed(),
    default=str(_data.speed[0]),
    help="Share of its way that a digit of moving-mnist moves per frame; of LOW:HIGH every digit's is drawn.",
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
