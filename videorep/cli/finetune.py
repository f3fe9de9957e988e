"""`videorep finetune`."""

import click

from videorep.bounds import LARGEST
from videorep.cli import options
from videorep.cli.printing import print_facts
from videorep.cli.settings import given, read_config, setting
from videorep.config import AUTO, CLASSIFIERS, LOSSES, SOFTMAX_STARTS, ClassifierConfig, FinetuneConfig, TrainingConfig
from videorep.quiet import load_tensorflow

DEFAULTS = ClassifierConfig()


@click.command(short_help="Train an action classifier.")
@options.data_setting
@options.out_run
@click.option(
    "--init", metavar="PRETRAINED_RUN", help="Start from the encoder of this run; random weights unless given."
)
@setting("model.name", "--model", type=click.Choice(CLASSIFIERS), default=DEFAULTS.name)
@options.units
@options.layers
@setting("model.dropout", "--dropout", type=float, help="Between layers.  [default: 0.5; single-frame: 0]")
@setting(
    "model.freeze_encoder", "--freeze-encoder", is_flag=True, default=False, help="Train the softmax only; with --init."
)
@options.standardise
@setting(
    "softmax",
    "--softmax",
    type=click.Choice((AUTO, *SOFTMAX_STARTS)),
    default=AUTO,
    help="How it starts: logistic regression on the LSTMs' states, or random; auto: regression with --init.",
)
@setting(
    "encoder_rate",
    "--encoder-rate",
    type=float,
    default=1.0,
    help="Learning rate of the LSTMs, as a share of the softmax's.",
)
@setting("training.weight_decay", "--weight-decay", type=float, default=TrainingConfig.weight_decay)
@setting(
    "training.evaluate_every",
    "--evaluate-every",
    type=int,
    default=TrainingConfig.evaluate_every,
    help="Steps between looks at the split validation; 0: none.",
)
@setting(
    "training.patience",
    "--patience",
    type=int,
    default=TrainingConfig.patience,
    help="Stop after N looks without a smaller loss, and keep the best weights; 0: never.",
)
@setting("model.block_frames", "--block-frames", type=int, default=DEFAULTS.block_frames, help="Frames per block.")
@setting("model.block_stride", "--block-stride", type=int, help="Between blocks.  [default: half of --block-frames]")
@setting(
    "model.loss",
    "--loss",
    type=click.Choice(LOSSES),
    default=DEFAULTS.loss,
    help="Steps of a block that are to be right; last suits long blocks and a state that is carried on (watch).",
)
@setting(
    "data.videos_per_class", "--videos-per-class", type=int, default=0, help="Train on N videos per class; 0: on all."
)
@click.option(
    "--repeats",
    type=click.IntRange(1, LARGEST["repeats"]),
    default=1,
    help="Runs to make, each with other videos per class and other random weights.",
)
@options.training_settings(TrainingConfig())
@options.strategy
@options.config_file
@options.long_work
@click.pass_context
def finetune(ctx, out, repeats, **_):
    """Train an action classifier on the labelled videos of DATA, from a pretrained encoder or from random weights.

    \b
    Examples:
      videorep finetune percepts --init runs/composite --out runs/classifier
      videorep finetune percepts --init runs/composite --out runs/few --videos-per-class 4 --repeats 10
      videorep finetune percepts --out runs/from-random --units 2048 --layers 2
      videorep finetune percepts --out runs/watcher --loss last --block-frames 32
    """
    config = read_config(ctx, FinetuneConfig)
    if config.init and any(given(ctx, name) for name in ("units", "layers", "model__standardise")):
        raise click.UsageError(
            "--units, --layers and --standardise come from the run that --init names: leave them out."
        )

    load_tensorflow()
    from videorep.training.finetune import finetune as train

    print_facts(train(config, out, repeats=repeats, **options.work(ctx)))
