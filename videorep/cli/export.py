"""`videorep export`."""

import click

from videorep.cli import options
from videorep.cli.printing import print_facts
from videorep.cli.quiet import load_tensorflow


@click.command(short_help="Write a run as a SavedModel.")
@options.run_argument
@options.out_folder
@click.option("--version", type=click.IntRange(min=1), help="Number of the version; the next free one unless given.")
@options.overwrite
def export(run, out, version, overwrite):
    """Write the model of RUN as a SavedModel, DIR/N/saved_model.pb, for TensorFlow Serving or TensorFlow alone.

    \b
    Examples:
      videorep export runs/classifier --out serving
      videorep export runs/classifier --out serving --version 7
    """
    load_tensorflow()
    from videorep.serving.export import export as write_saved_model

    print_facts(write_saved_model(run, out, version=version, overwrite=overwrite))
