"""`videorep evaluate`."""

import json

import click

from videorep.cli import options
from videorep.cli.quiet import load_tensorflow
from videorep.cli.report import print_facts

ONLY_IN_JSON = ("rows", "future_by_frame")


def compare(result):
    """{"figures": rows}: one row per figure, one column per predictor; {} where the result has none."""
    predictors = result.get("rows", [])
    figures = [key for key in (predictors or [{}])[0] if key != "predictor"]
    return {"figures": [_compare_figure(name, predictors) for name in figures]}


def _compare_figure(name, predictors):
    return {"figure": name.replace("_", " ")} | {row["predictor"]: row[name] for row in predictors}


@click.command(short_help="Measure runs.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN [RUN ...]")
@options.data_argument
@click.option("--split", default="test", show_default=True, help="Split to evaluate on.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Sequences at most; all of a split, or 2000 of moving-mnist, unless given.",
)
@click.option("--horizon", type=click.IntRange(min=1), help="Frames to predict; as trained unless given.")
@click.option(
    "--fuse", type=click.Choice(["mean"]), default="mean", show_default=True, help="How several classifiers agree."
)
@options.other_digits
@click.option("--json", "json_path", metavar="FILE", help="Write all figures there.")
@options.overwrite
def evaluate(runs, data, split, limit, horizon, fuse, digits, json_path, overwrite):
    """Measure one or more RUNs on DATA, a folder of shards or the word moving-mnist.

    A pretrained run is measured by how well it predicts the future, beside two trivial predictors: copy the last frame,
    and the mean frame. Classifiers are measured by video-level accuracy; several are fused.

    \b
    Examples:
      videorep evaluate runs/digits moving-mnist --limit 2000
      videorep evaluate runs/classifier percepts --json accuracy.json
      videorep evaluate runs/rgb runs/flow percepts --fuse mean
    """
    if json_path:
        json_path = options.claim_file(json_path, overwrite)

    load_tensorflow()
    from videorep.config import FinetuneConfig
    from videorep.evaluation import evaluate_action_recognition, evaluate_future_prediction
    from videorep.progress import make_progress
    from videorep.runs import load_run
    from videorep.storage import write_text_durably

    opened = [load_run(path) for path in runs]
    progress = make_progress()
    if all(isinstance(run.config, FinetuneConfig) for run in opened):
        result = evaluate_action_recognition(opened, data, fuse=fuse, split=split, progress=progress)
    elif len(opened) == 1:
        source = options.data_like(opened[0], data, digits)
        result = evaluate_future_prediction(
            opened[0], source, split=split, limit=limit, horizon=horizon, progress=progress
        )
    else:
        raise click.UsageError("Several RUNs are fused, which takes classifiers: evaluate pretrained runs one by one.")
    print_facts({name: value for name, value in result.items() if name not in ONLY_IN_JSON} | compare(result))
    if json_path:
        write_text_durably(json_path, json.dumps(result, indent=2) + "\n")
        click.echo(f"Wrote {json_path}")
