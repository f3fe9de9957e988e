"""`videorep train-stream`."""

import click

from videorep.cli import options
from videorep.cli.quiet import load_tensorflow
from videorep.cli.report import print_facts
from videorep.config import STREAMS, StreamConfig, StreamModelConfig, from_dict

DEFAULTS = StreamModelConfig()


@click.command()
@options.data_setting
@options.out_run
@options.setting("model.stream", "--stream", type=click.Choice(STREAMS), default=DEFAULTS.stream)
@options.setting(
    "model.flow_stack", "--flow-stack", type=int, default=DEFAULTS.flow_stack, help="Flow fields in one input."
)
@options.setting("model.dropout", "--dropout", type=float, default=DEFAULTS.dropout, help="After each dense layer.")
@options.training_settings
@options.config_file
@options.long_work
@click.pass_context
def train_stream(ctx, out, config_path, resume, overwrite, dry_run, **_):
    """Train a convnet (CNN-M-2048) on the optical flow, or the frames, of labelled clips; its fc6 gives percepts.

    \b
    Examples:
      videorep train-stream shards --out runs/flow --stream flow --flow-stack 10
      videorep build-shards percepts shards --out flow-percepts --backbone runs/flow --stream flow --flow-stack 10
    """
    config = from_dict(StreamConfig, options.read_settings(ctx, config_path))

    load_tensorflow()
    from videorep.progress import make_progress
    from videorep.training.train_stream import train_stream as train

    print_facts(train(config, out, resume=resume, overwrite=overwrite, dry_run=dry_run, progress=make_progress()))
