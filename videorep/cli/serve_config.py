"""`videorep serve-config`."""

import re

import click

from videorep.cli import options
from videorep.cli.printing import say
from videorep.exports import MODEL_NAME


@click.command("serve-config", short_help="Tell TensorFlow Serving of an export.")
@click.argument("folder", metavar="DIR")
@click.option("--name", default=MODEL_NAME, help="Of the model at the server: letters, digits, _ and -.")
@options.overwrite
def serve_config(folder, name, overwrite):
    """Write models.config and batching.config beside the versions in DIR, which videorep export made, and print the
    commands that start TensorFlow Serving's official image and ask it, over REST and over gRPC.

    \b
    Example:
      videorep serve-config serving --name actions
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name):
        raise click.BadParameter(f"{name!r} has other than letters, digits, _ and -", param_hint="'--name'")
    from videorep.serving.server_config import write_server_config

    for line in write_server_config(folder, name=name, overwrite=overwrite).splitlines():
        say(line)
