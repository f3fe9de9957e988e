"""`videorep classify`."""

import csv
import io
import json
from pathlib import Path

import click

from videorep.cli import options
from videorep.cli.quiet import load_tensorflow
from videorep.cli.report import print_table, say
from videorep.cli.results import claim_file

KINDS = (".csv", ".json")


@click.command(short_help="Classify videos.")
@click.argument("names", nargs=-1, required=True, metavar="RUN [RUN ...] VIDEO [VIDEO ...]")
@click.option("--out", metavar="FILE.csv|.json", help="Write a row for every video there.")
@click.option("--top", type=click.IntRange(min=1), default=5, help="Classes to tell of each video, the best first.")
@options.moved_backbone
@options.overwrite
def classify(names, out, top, backbone, overwrite):
    """Say which class each VIDEO shows, by the classifier in RUN; several are averaged.

    A VIDEO is a file, a folder, which is searched in depth, or a list (.csv) of path[,start,end]. Frames go through the
    stages that the run's shards went through, with the convnet of its percepts, so that the probabilities are those of
    build-shards clips, build-shards percepts and evaluate. Every file ends with its classes or with the reason why it
    has none.

    \b
    Examples:
      videorep classify runs/classifier holiday.mp4
      videorep classify runs/classifier VIDEOS --out classes.csv
      videorep classify runs/rgb runs/flow VIDEOS --out classes.json --top 3
    """
    kind = Path(out).suffix.lower() if out else ""
    if out and kind not in KINDS:
        raise click.BadParameter(f"{out!r} does not end in one of {', '.join(KINDS)}", param_hint="'--out'")
    out = claim_file(out, overwrite) if out else None

    from videorep.runs import is_run, load_run

    runs = [name for name in names if is_run(name)]
    videos = [name for name in names if name not in runs]
    if not runs or not videos:
        raise click.UsageError(f"Expected at least one RUN and one VIDEO, received {len(runs)} and {len(videos)}.")
    load_tensorflow()
    from videorep.live import classify_videos
    from videorep.progress import make_progress
    from videorep.storage import write_text_durably

    opened = [load_run(run) for run in runs]
    classes, rows = classify_videos(opened, videos, backbones=backbone, progress=make_progress())
    told = [_describe(path, classes, probabilities, reason, top) for path, probabilities, reason in rows]
    if out:
        write_text_durably(out, json.dumps(told, indent=2) + "\n" if kind == ".json" else _table(told, top, classes))
        say(f"Wrote {out}")
    else:
        print_table([_line(row) for row in told])
    classified = sum(bool(row["classes"]) for row in told)
    say(f"{classified:,} of {len(told):,} videos classified", err=True)


def _describe(path, classes, probabilities, reason, top):
    best = [] if probabilities is None else probabilities.argsort(kind="stable")[::-1][:top]
    ranked = [{"label": classes[number], "probability": float(probabilities[number])} for number in best]
    return {"path": path, "classes": ranked, "reason": reason or None}


def _line(row):
    shown = ", ".join(f"{each['label']} {each['probability']:.2f}" for each in row["classes"])
    return {"video": row["path"], "classes": "; ".join(filter(None, [shown, row["reason"]]))}


def _table(rows, top, classes):
    """The text of a CSV: path, reason, then label and probability of each class, the best first."""
    places, file = range(1, min(top, len(classes)) + 1), io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["path", "reason", *(f"{name}_{place}" for place in places for name in ("label", "probability"))])
    for row in rows:
        ranked = [value for each in row["classes"] for value in each.values()]
        writer.writerow([row["path"], row["reason"] or "", *ranked])
    return file.getvalue()
