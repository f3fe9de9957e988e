"""`videorep classify`."""

import csv
import io
import json
from pathlib import Path

import click

from videorep.cli import options
from videorep.cli.claim import claim_file
from videorep.cli.parameter_types import ServerAddress
from videorep.cli.printing import print_table, say
from videorep.cli.surprise import choose_predictor, surprise_options
from videorep.errors import ServerError
from videorep.exports import MODEL_NAME
from videorep.quiet import load_tensorflow

REASONS = 3  # that are shown of those in the file
SUMMARY = ("mean", "maximum", "time")  # of the surprise of a video


@click.command(short_help="Classify videos, or tell what is unusual in them.")
@click.argument("names", nargs=-1, required=True, metavar="[RUN ...] VIDEO [VIDEO ...]")
@click.option("--out", metavar="FILE.csv|.json", help="Write a row for every video there.")
@click.option("--top", type=click.IntRange(min=1), default=5, help="Classes to tell of each video, the best first.")
@click.option(
    "--server",
    type=ServerAddress(),
    help=f"Ask a TensorFlow Serving there (gRPC) in place of a RUN; the model is {MODEL_NAME} unless named.",
)
@click.option(
    "--timeout",
    type=click.IntRange(1, 1_000_000),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Seconds that an answer of --server may take, which is of at most 256 frames.",
)
@surprise_options
@options.moved_backbone
@options.direct
@options.overwrite
def classify(names, out, top, server, timeout, surprise, overwrite, **stages):
    """Say which class each VIDEO shows, by the classifier in RUN; several are averaged. With --server no RUN is needed.

    A VIDEO is a file, a folder, which is searched in depth, or a list (.csv) of path[,start,end]. Frames go through the
    stages that the run's shards went through, so that the probabilities are those of build-shards clips, build-shards
    percepts and evaluate. Every file ends with its classes or with the reason why it has none; after Ctrl-C what is
    known by then is written. --surprise tells, with or without classes, how far its frames lie from what a run of
    videorep pretrain predicts.

    \b
    Examples:
      videorep classify runs/classifier holiday.mp4
      videorep classify runs/rgb runs/flow VIDEOS --out classes.json --top 3
      videorep classify runs/predictor VIDEOS --surprise --out surprise.csv
      videorep classify --server localhost:8500 VIDEOS
    """
    out = claim_file(out, overwrite, ".csv", ".json")

    if server and (surprise or any(stages.values())):
        raise click.UsageError("--server takes no --surprise, --ahead, --backbone or --direct: it has its own model.")
    load_tensorflow()
    from videorep.runs import is_run, load_run
    from videorep.storage import write_text_durably
    from videorep.training.interruption import deferred_interruption

    runs = [load_run(name) for name in names if is_run(name)]
    videos = [name for name in names if not is_run(name)]
    if bool(runs) == bool(server) or not videos:
        wanted = "no RUN beside --server" if server else "at least one RUN"
        raise click.UsageError(f"Expected {wanted} and at least one VIDEO, received {len(runs)} and {len(videos)}.")
    if out and any(Path(name).resolve() == out.resolve() for name in videos):
        raise click.BadParameter(f"{out} is one of the VIDEOs", param_hint="'--out'")
    predictor = choose_predictor(runs) if surprise else None
    classifiers = [run for run in runs if run is not predictor]
    counted, verb = ("classes", "classified") if server or classifiers else ("surprise", "measured")
    with deferred_interruption() as stop:
        if server:
            told = _classify_there(server, timeout, videos, top, stop)
        else:
            options = {"backbones": stages["backbone"], "direct": stages["direct"], "stop": stop}
            told = _classify_here(classifiers, predictor, videos, top, stages["ahead"], options)
        if out:
            as_json = out.suffix.lower() == ".json"
            write_text_durably(out, json.dumps(told, indent=2) + "\n" if as_json else _table(told))
            say(f"Wrote {out}")
        else:
            print_table([_shown(row) for row in told])
        done = sum(bool(row[counted]) for row in told)
        say(f"{done:,} of {len(told):,} videos {verb}", err=True)
        if out:
            _tell_reasons([row for row in told if row["reason"]], out)
    if not done:
        click.get_current_context().exit(1)


def _tell_reasons(rows, out):
    """Why the first videos have no classes, which are otherwise in the file alone."""
    for row in rows[:REASONS]:
        say(f"  {row['path']}: {row['reason']}", err=True)
    if len(rows) > REASONS:
        say(f"  and {len(rows) - REASONS:,} more, with their reasons in {out}", err=True)


def _classify_there(server, timeout, videos, top, stop):
    from videorep.progress import make_progress

    address, model = server
    options = {"model": model, "timeout": timeout, "stop": stop, "progress": make_progress()}
    return _rows(*_load_client()(address, videos, **options), top)


def _load_client():
    try:
        from videorep.serving.client import classify_on_server
    except ImportError as error:
        raise ServerError(
            f"expected tensorflow-serving-api, which talks to a server, received an installation without {error.name}; "
            "pip install 'videorep[serving]'"
        ) from error
    return classify_on_server


def _classify_here(classifiers, predictor, videos, top, ahead, options):
    """Rows by classifiers, and with the surprise of a predictor where there is one."""
    from videorep.live import classify_videos, surprise_videos
    from videorep.progress import make_progress

    options, told = options | {"progress": make_progress()}, []
    if classifiers:
        told = _rows(*classify_videos(classifiers, videos, **options), top)
    if predictor:
        rows = surprise_videos(predictor, videos, ahead=ahead, **options)
        told = told or [{"path": path, "classes": [], "reason": None} for path, _, _ in rows]
        for row, (_, frames, reason) in zip(told, rows, strict=True):
            row |= {"reason": row["reason"] or reason or None, "surprise": _summarize(frames)}
    return told


def _rows(classes, rows, top):
    return [_describe(path, classes, probabilities, reason, top) for path, probabilities, reason in rows]


def _describe(path, classes, probabilities, reason, top):
    best = [] if probabilities is None else probabilities.argsort(kind="stable")[::-1][:top]
    ranked = [{"label": classes[number], "probability": float(probabilities[number])} for number in best]
    return {"path": path, "classes": ranked, "reason": reason or None}


def _summarize(frames):
    """Mean, maximum and its time, and the frames, of (N, 2) seconds and surprises; None of None."""
    if frames is None:
        return None
    time, most = frames[frames[:, 1].argmax()].tolist()
    each = [{"time": round(seconds, 3), "surprise": round(value, 4)} for seconds, value in frames.tolist()]
    return {"mean": float(frames[:, 1].mean()), "maximum": most, "time": round(time, 3), "frames": each}


def _shown(row):
    """A row of the printed table."""
    classes = ", ".join([f"{each['label']} {each['probability']:.2f}" for each in row["classes"]])
    told = {"video": row["path"], "classes": classes or row["reason"] or "-"}
    if "surprise" in row:
        told |= {f"surprise_{name}": row["surprise"] and row["surprise"][name] for name in SUMMARY}
    return told


def _table(rows):
    """The text of a CSV: path, reason, what is known of surprise, label and probability of each class, best first."""
    file, most = io.StringIO(newline=""), max(len(row["classes"]) for row in rows)
    summary = [f"surprise_{name}" for name in SUMMARY if "surprise" in rows[0]]
    numbered = (f"{name}_{place + 1}" for place in range(most) for name in ("label", "probability"))
    lines = (
        [row["path"], row["reason"], *((row["surprise"] or {}).get(name) for name in SUMMARY[: len(summary)])]
        + [value for each in row["classes"] for value in each.values()]
        for row in rows
    )
    csv.writer(file).writerows([["path", "reason", *summary, *numbered], *lines])
    return file.getvalue()
