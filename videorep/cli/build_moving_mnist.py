"""`videorep build-shards moving-mnist`."""

import click

from videorep.cli import options
from videorep.cli.quiet import load_tensorflow
from videorep.cli.report import print_dataset


@click.command(short_help="Draw moving digits.")
@options.out_folder
@click.option("--count", type=click.IntRange(min=1), required=True, help="Sequences per split.")
@click.option(
    "--digits",
    default="rendered",
    show_default=True,
    metavar="[rendered|mnist|PATH]",
    help="Drawn here, MNIST from Keras, or your idx or npz files.",
)
@click.option("--num-digits", type=click.IntRange(min=1), default=2, show_default=True, help="Digits per sequence.")
@click.option("--frames", type=click.IntRange(min=2), default=20, show_default=True, help="Frames per sequence.")
@options.seed
@options.long_work
def build_moving_mnist(out, **choices):
    """Write moving digits as clips: 64x64 grey frames, digits that bounce off the walls.

    `videorep pretrain moving-mnist` makes the same sequences on the fly, without end; as shards they are a fixed set.

    \b
    Examples:
      videorep build-shards moving-mnist --out digits --count 2000
      videorep build-shards moving-mnist --out digits --count 10000 --digits mnist/ --seed 1
    """
    load_tensorflow()
    from videorep.data.digits.build import build_moving_mnist as build
    from videorep.progress import make_progress

    print_dataset(out, build(out, **choices, progress=make_progress()))
