"""`videorep build-shards moving-mnist`."""

import click

from videorep.build_config import MovingMNISTConfig
from videorep.cli import options
from videorep.cli.printing import print_dataset
from videorep.cli.settings import read_config
from videorep.quiet import load_tensorflow


@click.command(short_help="Draw moving digits.")
@options.out_folder
@click.option("--count", type=int, required=True, help="Sequences per split.")
@click.option(
    "--digits",
    default=MovingMNISTConfig.digits,
    metavar="[rendered|mnist|PATH]",
    help="Drawn here, MNIST from Keras, or your idx or npz files.",
)
@click.option("--num-digits", default=MovingMNISTConfig.num_digits, help="Digits per sequence.")
@click.option("--frames", default=MovingMNISTConfig.frames, help="Frames per sequence, at least 2.")
@click.option("--seed", default=MovingMNISTConfig.seed, help="Decides every draw.")
@options.config_file
@options.long_work
@click.pass_context
def build_moving_mnist(ctx, out, **_):
    """Write moving digits as clips: 64x64 grey frames, digits that bounce off the walls.

    `videorep pretrain moving-mnist` makes the same sequences on the fly, without end; as shards they are a fixed set.

    \b
    Examples:
      videorep build-shards moving-mnist --out digits --count 2000
      videorep build-shards moving-mnist --out digits --count 10000 --digits mnist/ --seed 1
    """
    config = read_config(ctx, MovingMNISTConfig)

    load_tensorflow()
    from videorep.data.digits.build import build_moving_mnist as build

    print_dataset(out, build(out, config, **options.work(ctx)))
