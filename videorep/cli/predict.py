"""`videorep predict`."""

import click

from videorep.cli import options


@click.command()
@options.run_argument
@options.data_argument
@click.option("--out", required=True, metavar="FILE.npz|.png|.gif", help="Arrays, a picture, or a moving picture.")
@click.option("--split", default="test", show_default=True, help="Split to take sequences from.")
@click.option("--count", type=click.IntRange(min=1), default=4, show_default=True, help="Sequences to predict.")
@click.option("--horizon", type=click.IntRange(min=1), help="Frames to predict; as trained unless given.")
@options.overwrite
def predict(run, data, out, split, count, horizon, overwrite):
    """Let RUN continue sequences of DATA, and write what it predicts.

    \b
    Examples:
      videorep predict runs/digits moving-mnist --out future.gif
      videorep predict runs/digits moving-mnist --out future.npz --count 100 --horizon 40
    """
