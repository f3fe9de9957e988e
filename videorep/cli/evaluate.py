"""`videorep evaluate`."""

import json

import click

from videorep.cli import options
from videorep.cli.claim import claim_file
from videorep.cli.printing import print_facts, say
from videorep.quiet import load_tensorflow

ONLY_IN_JSON = ("rows", "standard_errors", "future_by_frame", "future_by_frame_standard_errors", "per_video")
ONLY_IN_JSON += ("diagnostics", "warnings")


def to_columns(result):
    """{"figures": rows}: one row per figure, one column per predictor; and what was diagnosed; as far as there is."""
    predictors = result.get("rows", [])
    figures = [key for key in (predictors or [{}])[0] if key != "predictor"]
    columns = {name: {row["predictor"]: row[name] for row in predictors} for name in figures}
    for row in result.get("standard_errors", [])[:1]:  # the model's stands behind its figure
        columns = {name: _insert(each, "standard_error", row[name]) for name, each in columns.items()}
    ways = [{name: row[name] for name in ("frames", "accuracy")} for row in result.get("diagnostics", [])]
    return {
        "figures": [{"figure": name.replace("_", " ")} | row for name, row in columns.items()],
        "diagnostics": ways,
    }


def _insert(columns, name, value):
    (first, figure), *others = columns.items()
    return {first: figure, name: value, **dict(others)}


@click.command(short_help="Measure runs.")
@click.argument("names", nargs=-1, required=True, metavar="RUN [RUN ...] [DATA ...]")
@click.option("--split", default="test", help="Split to evaluate on.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Sequences at most; all of a split, or 2000 of moving-mnist, unless given.",
)
@click.option("--horizon", type=click.IntRange(min=1), help="Frames to predict; as trained unless given.")
@click.option(
    "--fuse",
    type=click.Choice(["mean", "weighted"]),
    default="mean",
    help="How several classifiers agree; weighted: by weights fitted on the split validation.",
)
@click.option(
    "--diagnose",
    is_flag=True,
    help="Also show a classifier the frames shuffled, reversed, and a video's first frames alone; classes in --json.",
)
@options.other_digits
@click.option("--json", "json_path", metavar="FILE", help="Write all figures there.")
@options.overwrite
def evaluate(names, split, fuse, diagnose, json_path, overwrite, **others):
    """Measure one or more RUNs on DATA, folders of shards, the word moving-mnist or its file mnist_test_seq.npy.

    Runs and data are told apart by what they hold. Without DATA each run is measured on its own data; one DATA is for
    all runs, several are one per run, in order.

    A pretrained run is measured by how well it predicts the future, fed with its own output (conditional decoders also
    with true frames), beside trivial predictors: copy the last frame, the mean frame, black. Each figure is a mean over
    frames and sequences, with its standard error over the sequences.

    Classifiers, of finetune or train-stream, are measured by video-level accuracy; several are fused, video by video.
    On shards built with --labels segments a classifier is measured frame by frame, with blocks that begin with no state
    and with the state carried on. Warnings say where a figure means nothing.

    \b
    Examples:
      videorep evaluate runs/digits moving-mnist --limit 2000
      videorep evaluate runs/digits mnist_test_seq.npy --json figures.json
      videorep evaluate runs/classifier percepts --json accuracy.json
      videorep evaluate runs/classifier percepts --diagnose
      videorep evaluate runs/rgb runs/flow percepts/rgb percepts/flow --fuse weighted
    """
    json_path = claim_file(json_path, overwrite)

    load_tensorflow()
    from videorep.data.batches.sources import lacks_labels
    from videorep.data.shards.hashes import hash_file
    from videorep.data.shards.manifest import load_dataset
    from videorep.evaluation import evaluate_action_recognition, evaluate_frames, evaluate_future_prediction
    from videorep.evaluation.arguments import tell_apart
    from videorep.evaluation.diagnostics import diagnose as show_otherwise
    from videorep.progress import make_progress
    from videorep.runs import load_run
    from videorep.storage import write_text_durably

    runs, data = tell_apart(names)
    if not runs or len(data) not in (0, 1, len(runs)):
        raise click.UsageError(
            f"Expected at least one RUN, and no DATA, one, or one per RUN, received {len(runs)} and {len(data)}."
        )
    opened = [load_run(path) for path in runs]
    if diagnose and (len(opened) > 1 or opened[0].config.kind != "finetune"):
        raise click.UsageError("Expected one RUN of finetune with --diagnose.")
    progress = make_progress()
    path = data[0] if data else opened[0].config.data.path
    if len(opened) == 1 and opened[0].config.kind == "finetune" and lacks_labels(load_dataset(path), split):
        result = evaluate_frames(opened[0], path, split=split, progress=progress)
    elif not any(run.config.kind == "pretrain" for run in opened):
        folders = data * len(runs) if len(data) == 1 else data or None
        result = evaluate_action_recognition(opened, folders, fuse=fuse, split=split, progress=progress)
    elif len(opened) == 1:
        source, predicting = options.data_like(opened[0], *data), {name: others[name] for name in ("limit", "horizon")}
        result = evaluate_future_prediction(opened[0], source, split=split, progress=progress, **predicting)
    else:
        raise click.UsageError("Several RUNs are fused, which takes classifiers: evaluate pretrained runs one by one.")
    if diagnose:
        result["diagnostics"] = show_otherwise(opened[0], path, split=split, progress=progress)
    print_facts({name: value for name, value in result.items() if name not in ONLY_IN_JSON} | to_columns(result))
    for sentence in result["warnings"]:
        say(f"Warning: {sentence}", err=True)
    if json_path:
        result["models"] = [hash_file(run.model_path) for run in opened]
        result["data"] = data or [run.config.data.path for run in opened]
        write_text_durably(json_path, json.dumps(result, indent=2) + "\n")
        say(f"Wrote {json_path}")
