"""`videorep visualize`."""

import click

from videorep.cli import options


@click.command()
@options.run_argument
@click.option("--out", required=True, metavar="FILE.png", help="Picture to write.")
@options.overwrite
def visualize(run, out, overwrite):
    """Draw what RUN learned.

    \b
    Examples:
      videorep visualize runs/digits strips --out strips.png
    """
