"""`videorep reproduce`: the group of commands that make the paper's tables."""

import click

from videorep.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    short_help="Make the paper's tables, with its figures beside.",
    commands_in={
        "actions": "videorep.cli.reproduce_actions:reproduce_actions",
        "prediction": "videorep.cli.reproduce_prediction:reproduce_prediction",
    },
)
def reproduce():
    """Make the paper's tables on your own machine and data, with its figures beside.

    \b
    Examples:
      videorep reproduce actions VIDEOS --scale laptop --backbone features.keras --out DIR --dry-run
      videorep reproduce prediction --scale laptop --digits MNIST_FOLDER --out DIR
    """
