"""`videorep verify`."""

import click

from videorep.cli.printing import say
from videorep.errors import VideorepError
from videorep.quiet import load_tensorflow


@click.command(short_help="Check shards, a run or an export, and what it was made from.")
@click.argument("path", metavar="DATA|RUN|EXPORT")
@click.option(
    "--sources", metavar="FOLDER", help="The videos, or the clip shards, that the shards, or the run's, were made from."
)
@click.option("--backbone", metavar="FILE|RUN|hub:PRESET", help="The convnet of percepts, or its weights (.h5).")
@click.option("--decode", is_flag=True, help="Decode every image and decompress every percept as well.")
def verify(path, sources, backbone, decode):
    """Compare an export, a run or shards with the hashes that were written down when it was made.

    Of shards every record is read and held to dataset.json: counts, checksums, schema, labels. Of a run the model and
    the checkpoints are read, then the shards and the run that it was made from; of an export its files, then its run.
    Where the videos or the clip shards lie that shards were made from, and the convnet, --sources and --backbone
    say. What was not named, or is not there any more, is listed as not checked and does not count.

    Exit status 0 when all is well, 1 when anything is not.

    \b
    Examples:
      videorep verify shards
      videorep verify shards --decode
      videorep verify shards --sources VIDEOS
      videorep verify percepts --sources shards --backbone vgg16.keras
      videorep verify runs/classifier --sources shards --backbone vgg16.keras
      videorep verify serving
    """
    load_tensorflow()
    from videorep.progress import make_progress
    from videorep.provenance import verify as verify_chain

    choices = {"sources": sources, "backbone": backbone, "decode": decode}
    problems, unchecked = verify_chain(path, **choices, progress=make_progress())
    for sentence in (*problems, *(f"not checked: {each}" for each in unchecked)):
        say(sentence)
    if problems:
        raise VideorepError(
            f"expected {path} and what it was made from as they were written, found {len(problems)} problem(s); "
            "restore what they name, or make it again"
        )
    say(f"{path} is sound")
