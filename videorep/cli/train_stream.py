"""`videorep train-stream`."""

import click

from videorep.cli import options
from videorep.cli.printing import print_facts
from videorep.cli.settings import read_config, setting
from videorep.config import STREAMS, StreamConfig, StreamModelConfig, StreamTrainingConfig
from videorep.quiet import load_tensorflow

DEFAULTS = StreamModelConfig()


@click.command(short_help="Train the temporal-stream convnet.")
@click.argument("data__path", metavar="SHARDS")
@options.out_run
@setting(
    "model.stream", "--stream", type=click.Choice(STREAMS), default=DEFAULTS.stream, help="Optical flow, or frames."
)
@setting(
    "model.flow_stack", "--flow-stack", type=int, default=DEFAULTS.flow_stack, help="Flow fields that the net sees."
)
@setting("model.dropout", "--dropout", type=float, default=DEFAULTS.dropout, help="Of the top layers.")
@options.training_settings(StreamTrainingConfig())
@options.config_file
@options.long_work
@click.pass_context
def train_stream(ctx, out, **_):
    """Train the temporal-stream convnet (CNN-M-2048) on the labelled clips in SHARDS.

    Its layer fc6 then gives percepts: videorep build-shards percepts SHARDS --out DIR --backbone RUN.

    \b
    Examples:
      videorep train-stream shards --out runs/flow --stream flow --flow-stack 10
      videorep train-stream shards --out runs/rgb --stream rgb
    """
    config = read_config(ctx, StreamConfig)

    load_tensorflow()
    from videorep.training.train_stream import train_stream as train

    print_facts(train(config, out, **options.work(ctx)))
