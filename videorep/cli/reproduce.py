"""`videorep reproduce`: the group of commands that make the paper's tables."""

import click

from videorep.cli.lazy import LazyGroup
from videorep.cli.printing import print_facts, say


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


def tell(result, out, dry_run):
    """Writes a reproduction's report into `out` and prints what it found; of a dry run its plan alone is printed."""
    from videorep.report.reproduction import tabulate, write_reproduction

    if dry_run:
        print_facts(result)
        return
    write_reproduction(out, result)
    print_facts({f"{each['name']}, {each['title']}": tabulate(each) for each in result["tables"]})
    for finding in result.get("findings", ()):
        say(finding)
    say(f"Wrote {out}/report.html, report.md and results.json")
