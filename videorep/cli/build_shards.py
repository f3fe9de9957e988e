"""`videorep build-shards`: the group of commands that make shards."""

import click

from videorep.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    short_help="Make shards of videos, of percepts, of others' features or of moving digits.",
    commands_in={
        "features": "videorep.cli.build_features:build_features",
        "moving-mnist": "videorep.cli.build_moving_mnist:build_moving_mnist",
        "clips": "videorep.cli.build_clips:build_clips",
        "percepts": "videorep.cli.build_percepts:build_percepts",
    },
)
def build_shards():
    """Make shards: from videos, from shards through a convnet, from others' features, or from moving digits.

    A build that was interrupted goes on with --resume, and ends byte for byte as if nothing had happened.
    """
