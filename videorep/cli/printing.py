"""How commands print what their workers hand back."""

import click

from videorep.progress import visible


def say(line, err=False):
    """Prints a line, on standard error if `err`, whatever names it holds."""
    click.echo(visible(line), err=err)


def format_value(value):
    """A value as people read it: floats with five digits, lists with commas, a dash for None, "none" for no text."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(format_value(item) for item in value)
    return str(value) or "none"


def print_facts(facts, indent=""):
    """Prints {name: value}, one line each; a table within it is indented, a list of tables printed as rows.

    What is None or empty is left out.
    """
    facts = {str(name).replace("_", " "): value for name, value in facts.items() if value not in (None, (), [], {})}
    width = max((len(name) for name, value in facts.items() if not isinstance(value, dict)), default=0) + 1
    for name, value in facts.items():
        if isinstance(value, dict):
            say(f"{indent}{name}:")
            print_facts(value, indent + "  ")
        elif isinstance(value, list) and isinstance(value[0], dict):
            say(f"{indent}{name}:")
            print_table(value, indent + "  ")
        else:
            say(f"{indent}{name + ':':<{width}} {format_value(value)}")


def print_table(rows, indent=""):
    """Prints rows ({column: value}) under the column names of the first; numbers are aligned at the right."""
    columns = list(rows[0])
    titles = [column.replace("_", " ") for column in columns]
    cells = [titles] + [[format_value(row[column]) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    numeric = [all(isinstance(row[column], (int, float, type(None))) for row in rows) for column in columns]
    for line in cells:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        say(indent + "  ".join(padded).rstrip())


def print_dataset(out, dataset):
    """Prints what a build of shards made, or, handed a dict by a dry run, what it would make."""
    if isinstance(dataset, dict):
        print_facts(dataset)
        return
    left_out = [source for source in dataset.flawed() if source["status"] != "written"]
    unit = dataset.made.get("unit", "records")
    facts = {split: f"{sum(shard.records for shard in shards):,} {unit}" for split, shards in dataset.splits.items()}
    say(f"Made {dataset.kind} in {out}")
    facts |= {
        "labels": len(dataset.labels) or None,
        **dataset.made.get("found", {}),
        **dataset.engine,
        "left_out": len(left_out),
    }
    print_facts(facts, "  ")
    for source in left_out[:10]:
        piece = "" if source.get("end") is None else f", {source['start'] or 0:g} to {source['end']:g} s"
        say(f"    {source['path']}{piece}: {source['reason']}")
    if len(left_out) > 10:
        say(f"    and {len(left_out) - 10} more: videorep inspect {out}")
