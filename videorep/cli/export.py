"""`videorep export`."""

import click

from videorep.cli import options
from videorep.cli.printing import print_facts
from videorep.cli.quiet import load_tensorflow


@click.command(short_help="Write a run as a SavedModel.")
@options.run_argument
@options.out_folder
@click.option("--version", type=click.IntRange(min=1), help="Number of the version; the next free one unless given.")
@options.moved_backbone
@click.option(
    "--check/--no-check",
    default=True,
    help="Whether a process without videorep must give the model's answers before the version is there; the warm-up is "
    "written and tried only then.",
)
@options.overwrite
def export(run, out, version, backbone, check, overwrite):
    """Write the model of RUN as a SavedModel, DIR/N/saved_model.pb, for TensorFlow Serving or TensorFlow alone.

    Its signatures take percepts, and JPEG frames where the convnet of the percepts is found: see docs/serving.md.

    \b
    Examples:
      videorep export runs/classifier --out serving
      videorep export runs/classifier --out serving --version 7
    """
    load_tensorflow()
    from videorep.serving.export import export as write_saved_model

    print_facts(write_saved_model(run, out, version, overwrite=overwrite, backbones=backbone, check=check))
