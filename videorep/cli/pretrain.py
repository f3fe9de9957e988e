"""`videorep pretrain`."""

import click

from videorep.cli import options
from videorep.cli.printing import print_facts
from videorep.cli.settings import given, read_config, setting
from videorep.config import FEEDINGS, MODELS, OUTPUTS, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.quiet import load_tensorflow
from videorep.recipes import RECIPES

DEFAULTS, TRAINING = ModelConfig(), PretrainTrainingConfig()


@click.command(short_help="Train an encoder-decoder without labels.")
@options.data_setting
@click.argument("data__also", nargs=-1, metavar="[DATA ...]")
@options.out_run
@setting(
    "init", "--init", metavar="RUN", default="", help="Train on the model of this finished run; give another --seed."
)
@setting("model.name", "--model", type=click.Choice(MODELS), default=DEFAULTS.name)
@options.units
@options.layers
@options.conditional
@setting(
    "training.feeding",
    "--feeding",
    type=click.Choice(FEEDINGS),
    default=TRAINING.feeding,
    help="What they are fed with in training: true frames, their own output, or ever less of the first.",
)
@setting(
    "model.output",
    "--output",
    type=click.Choice(OUTPUTS),
    default=DEFAULTS.output,
    help="Pixels by cross entropy, or values by squared error; auto: the first for whole frames, not for patches.",
)
@options.standardise
@setting("model.input_frames", "--input-frames", type=int, default=DEFAULTS.input_frames)
@setting("model.future_frames", "--future-frames", type=int, default=DEFAULTS.future_frames)
@setting(
    "training.recipe",
    "--recipe",
    type=click.Choice(tuple(RECIPES)),
    default=TRAINING.recipe,
    help="Optimizer, rate, batch and first biases as measured best, or as the paper's authors had them; options given "
    "beside it overrule it. Defaults shown here are those of modern.",
)
@options.digits
@options.num_digits
@options.speed
@setting("data.patch", "--patch", type=int, default=0, help="Train on NxN crops of the frames; 0: whole.")
@setting("data.colour", "--colour", is_flag=True, default=False, help="Keep colours; grey otherwise.")
@options.training_settings(TRAINING)
@options.strategy
@options.config_file
@options.long_work
@click.pass_context
def pretrain(ctx, out, **_):
    """Train an LSTM encoder-decoder on unlabelled sequences: to reconstruct them, to predict what follows, or both.

    DATA is a folder of shards, its URL such as s3://bucket/folder, or the word moving-mnist for digits that are made on
    the fly, without end. Several folders are mixed, each as much as it holds; what one of them tests on none trains on.

    \b
    Examples:
      videorep pretrain moving-mnist --out runs/digits --steps 2000
      videorep pretrain percepts --out runs/composite --input-frames 16 --future-frames 13
      videorep pretrain percepts more-percepts --out runs/more --standardise
      videorep pretrain moving-mnist --init runs/digits --seed 1 --out runs/digits-further
      videorep pretrain percepts --out runs/paper --units 2048 --layers 2 --dry-run
      videorep pretrain clips --out runs/patches --patch 32 --conditional future --config long.toml
    """
    config = read_config(ctx, PretrainConfig)
    decided = [name for name in ctx.params if name in ("units", "layers") or name.startswith("model__")]
    if config.init and any(given(ctx, name) for name in (*decided, "data__patch", "data__colour")):
        raise click.UsageError("The model and what it sees of a frame come from the run of --init: leave them out.")

    load_tensorflow()
    from videorep.training.pretrain import pretrain as train

    print_facts(train(config, out, **options.work(ctx)))
