"""`videorep inspect`."""

import click

from videorep.cli import options
from videorep.cli.claim import claim_file
from videorep.cli.printing import print_facts
from videorep.config_values import to_dict
from videorep.quiet import load_tensorflow


@click.command(short_help="Tell what shards, a run or an export hold.")
@click.argument("path", metavar="DATA|RUN|EXPORT")
@click.option("--out", metavar="FILE.png", help="Also draw some of the shards' records there.")
@click.option("--split", help="Split to draw; the first unless given.")
@click.option("--flow", is_flag=True, help="Draw the optical flow of clips with them.")
@options.overwrite
def inspect(path, out, split, flow, overwrite):
    """Tell what a folder of shards, a run or an export holds, and how it was made, by hash.

    With --out, clips are drawn as frames; percepts as arrays, with a map on which clips that look alike lie together.

    \b
    Examples:
      videorep inspect shards
      videorep inspect shards --out contact-sheet.png --split test
      videorep inspect shards --out flow.png --flow
      videorep inspect percepts --out percepts.png
      videorep inspect runs/composite
      videorep inspect serving
    """
    from videorep.exports import find_versions
    from videorep.provenance import describe_export
    from videorep.runs import is_run

    is_export = bool(find_versions(path))
    if is_export or is_run(path):
        if out:
            raise click.UsageError("--out draws shards; pictures of a run are made by videorep visualize.")
        print_facts(describe_export(path) if is_export else _describe_run(path))
        return
    if flow and not out:
        raise click.UsageError("--flow is drawn: add --out FILE.png.")
    out = claim_file(out, overwrite, ".png")

    load_tensorflow()
    from videorep.data.shards.summary import count_classes, summarize_dataset

    facts = summarize_dataset(path)
    rows = count_classes(path)
    print_facts(facts | ({"classes": rows} if rows else {}))
    if out:
        _draw(path, out, split, "flow" if flow else facts["kind"])
        click.echo(f"Wrote {out}")


def _draw(path, out, split, what):
    from videorep.figures import draw_flow, draw_percepts
    from videorep.figures.contact_sheet import write_contact_sheet
    from videorep.figures.samples import sample_flow, sample_percepts

    if what == "flow":
        draw_flow(out, sample_flow(path, split))
    elif what == "percepts":
        draw_percepts(out, **sample_percepts(path, split))
    else:
        write_contact_sheet(path, out, split)


def _describe_run(path):
    from videorep.provenance import describe
    from videorep.runs import PROVENANCE, load_run

    run = load_run(path)
    facts = {"run": path, "finished": run.finished, **to_dict(run.config), "last_report": run.last_report()}
    return facts | ({"made_from": describe(run.provenance)} if (run.path / PROVENANCE).is_file() else {})
