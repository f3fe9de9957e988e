"""`videorep classify`."""

import csv
import io
import json
from pathlib import Path

import click

from videorep.cli import options
from videorep.cli.claim import claim_file
from videorep.cli.printing import print_table, say
from videorep.cli.quiet import load_tensorflow

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
    stages that the run's shards went through, so that the probabilities are those of build-shards clips, build-shards
    percepts and evaluate. Every file ends with its classes or with the reason why it has none.

    \b
    Examples:
      videorep classify runs/classifier holiday.mp4
      videorep classify runs/rgb runs/flow VIDEOS --out classes.json --top 3
    """
    kind = Path(out).suffix.lower() if out else ""
    if out and kind not in KINDS:
        raise click.BadParameter(f"{out!r} does not end in one of {', '.join(KINDS)}", param_hint="'--out'")
    out = claim_file(out, overwrite) if out else None

    load_tensorflow()
    from videorep.live import classify_videos
    from videorep.progress import make_progress
    from videorep.runs import is_run, load_run
    from videorep.storage import write_text_durably

    runs = [load_run(name) for name in names if is_run(name)]
    videos = [name for name in names if not is_run(name)]
    if not runs or not videos:
        raise click.UsageError(f"Expected at least one RUN and one VIDEO, received {len(runs)} and {len(videos)}.")
    if out and any(Path(name).resolve() == out.resolve() for name in videos):
        raise click.BadParameter(f"{out} is one of the VIDEOs", param_hint="'--out'")
    classes, rows = classify_videos(runs, videos, backbones=backbone, progress=make_progress())
    told = [_describe(path, classes, probabilities, reason, top) for path, probabilities, reason in rows]
    if out:
        write_text_durably(out, json.dumps(told, indent=2) + "\n" if kind == ".json" else _table(told))
        say(f"Wrote {out}")
    else:
        print_table([{"video": row["path"], "classes": _shown(row)} for row in told])
    say(f"{sum(bool(row['classes']) for row in told):,} of {len(told):,} videos classified", err=True)


def _describe(path, classes, probabilities, reason, top):
    best = [] if probabilities is None else probabilities.argsort(kind="stable")[::-1][:top]
    ranked = [{"label": classes[number], "probability": float(probabilities[number])} for number in best]
    return {"path": path, "classes": ranked, "reason": reason or None}


def _shown(row):
    return ", ".join([f"{each['label']} {each['probability']:.2f}" for each in row["classes"]] or [row["reason"]])


def _table(rows):
    """The text of a CSV: path, reason, then label and probability of each class, the best first."""
    file, most = io.StringIO(newline=""), max(len(row["classes"]) for row in rows)
    numbered = (f"{name}_{place + 1}" for place in range(most) for name in ("label", "probability"))
    lines = ([row["path"], row["reason"], *(v for each in row["classes"] for v in each.values())] for row in rows)
    csv.writer(file).writerows([["path", "reason", *numbered], *lines])
    return file.getvalue()
