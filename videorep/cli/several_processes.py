"""The options of `build-shards` by which several processes or machines build together."""

import click

from videorep.build_config import FINISH
from videorep.cli import options
from videorep.cli.parameter_types import PartOfAll

in_parts = options.combine(
    click.option(
        "--part",
        type=PartOfAll(),
        help="Write every N-th shard from number I on, beside other processes or machines that write the others; given "
        "again, it goes on.",
    ),
    click.option("--finish", is_flag=True, help="Write dataset.json, when all parts are written."),
    click.option(
        "--runner",
        type=click.Choice(["local", "beam"]),
        default="local",
        help="Who builds: this machine, or Apache Beam (extra beam), whose options follow behind --.",
    ),
    click.argument("beam_options", metavar="[-- BEAM OPTIONS]", nargs=-1, type=click.UNPROCESSED),
)


def work(ctx):
    """As `options.work`, with what the options of `in_parts` decide."""
    part, finish, beam = ctx.params["part"], ctx.params["finish"], ctx.params["runner"] == "beam"
    if sum([part is not None, finish, beam]) > 1:
        raise click.UsageError("expected one of --part, --finish and --runner beam, received several; leave others out")
    if ctx.params["overwrite"] and (part or finish):
        raise click.UsageError("expected parts to begin in a new folder, received --overwrite; remove the folder first")
    if ctx.params["beam_options"] and not beam:
        received = " ".join(ctx.params["beam_options"])
        raise click.UsageError(f"Got unexpected extra arguments ({received}); options of Beam need --runner beam")
    chosen = {"part": FINISH if finish else part, "beam": list(ctx.params["beam_options"]) if beam else None}
    return options.work(ctx) | {name: value for name, value in chosen.items() if value is not None}
