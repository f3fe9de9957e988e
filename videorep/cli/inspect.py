"""`videorep inspect`."""

import click

from videorep.cli.report import print_facts


@click.command()
@click.argument("path", metavar="DATA|RUN")
def inspect(path):
    """Tell what a folder of shards or a run holds, and how it was made.

    \b
    Examples:
      videorep inspect shards
      videorep inspect runs/composite
    """
    print_facts({"path": path})
