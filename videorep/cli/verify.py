"""`videorep verify`."""

import click

from videorep.cli import options
from videorep.cli.quiet import load_tensorflow
from videorep.errors import ShardError


@click.command(short_help="Check every record of shards.")
@options.data_argument
@click.option("--decode", is_flag=True, help="Decode every image and decompress every percept as well.")
def verify(data, decode):
    """Read every record of the shards in DATA and compare them with dataset.json: counts, checksums, schema, labels.

    Exit status 0 when all is well, 1 when anything is not.

    \b
    Example:
      videorep verify shards
      videorep verify shards --decode
    """
    load_tensorflow()
    from videorep.data.verify import verify_dataset
    from videorep.progress import make_progress

    problems = verify_dataset(data, progress=make_progress(), decode=decode)
    for problem in problems:
        click.echo(problem)
    if problems:
        raise ShardError(f"expected sound shards in {data}, found {len(problems)} problem(s); build them again")
    click.echo(f"{data} is sound")
