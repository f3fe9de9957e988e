"""`videorep visualize`."""

import re

import click

from videorep.cli import options
from videorep.cli.claim import claim_file
from videorep.cli.printing import print_facts, say
from videorep.config import PretrainConfig, are_shards
from videorep.errors import RunError
from videorep.quiet import load_tensorflow

OF_PICTURES = ("strips", "features", "output-features")
ACTIVITY_FRAMES = 100
HORIZON_SEQUENCES = 200
TAKEN_BY = {
    "beside": ("curves", "strips"),
    "sequences": ("strips",),
    "count": ("strips", "features", "output-features", "activity"),
}


def _read_numbers(ctx, param, value):
    """Numbers of sequences from "0,5,17"; None where there are none."""
    if value is None:
        return None
    if not re.fullmatch("[0-9]{1,5}(,[0-9]{1,5})*", value):
        raise click.BadParameter(f"expected numbers from 0 to 99999 such as 0,5,17, received {value!r}")
    return tuple(dict.fromkeys(map(int, value.split(","))))


@click.command(short_help="Draw what a run learned and predicts.")
@options.run_argument
@click.argument(
    "what",
    type=click.Choice(
        ["strips", "curves", "features", "output-features", "activity", "horizon", "few-label-curve"],
    ),
)
@click.argument("data", metavar="[DATA]", required=False)
@click.option("--out", required=True, metavar="FILE.png", help="Picture to write: .png, .pdf or .svg.")
@click.option("--split", default="test", help="Split to take sequences or videos from.")
@click.option(
    "--horizon",
    type=click.IntRange(min=1),
    help="Frames to predict (as trained; 100 for activity) and to run on to before the input (none).",
)
@click.option("--beside", multiple=True, metavar="RUN", help="Another run, for curves and strips; may be repeated.")
@click.option("--sequences", metavar="N,N,...", callback=_read_numbers, help="Sequences of strips, from 0 on.")
@click.option(
    "--count",
    type=click.IntRange(min=1),
    help="Sequences of strips (4), units of features (36 each) or random units of activity (200).",
)
@options.other_digits
@options.overwrite
def visualize(run, what, data, out, split, overwrite, **given):
    """Draw RUN, on its own data unless DATA is given.

    \b
    strips           sequences: the truth, and of each run a row: the reconstruction, the predicted future
    curves           how training went, over sequences and over time
    features         the input weights of the first layer, one picture per unit and gate, those of largest norm
    output-features  the weights from which the decoders' frames are read, of each decoder those of largest norm
    activity         gates, cell and output of units while the model reads and then runs on, trained and random
    horizon          the error of each predicted frame, beside trivial predictors
    few-label-curve  accuracy over labelled videos per class, of all classifiers in the folder RUN

    \b
    Examples:
      videorep visualize runs/one-layer strips --beside runs/two-layers --sequences 0,5,17 --out strips.png
      videorep visualize runs/digits curves --beside runs/bfloat16 --out curves.svg
      videorep visualize runs/digits horizon digits --horizon 40 --out horizon.png
      videorep visualize runs/few-labels few-label-curve --out few.png
    """
    for option, kinds in TAKEN_BY.items():
        if given[option] and what not in kinds:
            raise click.BadParameter(f"only for {', '.join(kinds)}, not for {what}", param_hint=f"'--{option}'")
    if given["sequences"] and given["count"]:
        raise click.UsageError("expected --sequences or --count, received both")
    out = claim_file(out, overwrite, ".png", ".pdf", ".svg")
    if what in OF_PICTURES:
        _require_pictures(run, data, what)

    load_tensorflow()
    from videorep.runs import load_run

    if what == "few-label-curve":
        _draw_few_label_curve(out, run, data, split)
    else:
        run, others = load_run(run), [load_run(other) for other in given["beside"]]
        source = options.data_like(run, data)
        if what == "curves":
            _draw_curves(out, _by_name([run, *others]))
        elif what == "strips":
            _draw_strips(out, _by_name([run, *others]), source, split, given)
        elif what in ("features", "output-features"):
            _draw_features(out, run, source, split, what, _counted(given))
        elif what == "activity":
            _draw_activity(out, run, source, split, given)
        else:
            _draw_horizon(out, run, source, split, given["horizon"])
    say(f"Wrote {out}")


def _require_pictures(run, data, what):
    """Refuses percepts before TensorFlow, the model and the data are loaded."""
    from videorep.data.shards.manifest import load_dataset
    from videorep.runs import load_run

    run = load_run(run)
    path = data or run.config.data.path
    if isinstance(run.config, PretrainConfig) and are_shards(path) and load_dataset(path).kind == "percepts":
        raise RunError(
            f"expected frames that are pictures for {what}, received percepts in {path}; draw curves, activity or "
            "horizon instead"
        )


def _by_name(runs):
    """{name of its folder, or where two have the same its path: run}."""
    names = [run.path.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in runs]
    return dict(zip(names, runs, strict=True))


def _counted(given):
    return {"count": given["count"]} if given["count"] else {}


def _draw_strips(out, runs, data, split, given):
    from videorep.evaluation import predict_side_by_side
    from videorep.figures import draw_strips

    chosen = {"numbers": given["sequences"], "horizon": given["horizon"], **_counted(given)}
    draw_strips(out, **predict_side_by_side(runs, data, split=split, **chosen))


def _draw_curves(out, runs):
    from videorep.figures import draw_curves

    for run in runs.values():
        run.require_reports()
    draw_curves(out, {name: run.metrics() for name, run in runs.items()})


def _draw_features(out, run, data, split, what, counted):
    from videorep.evaluation import predict_sequences
    from videorep.figures import draw_features
    from videorep.figures.features import input_features, output_features

    frame_shape = predict_sequences(run, data, split=split, count=1)["frame_shape"]
    groups = (input_features if what == "features" else output_features)(run.model())
    draw_features(out, groups, frame_shape, together=what == "features", **counted)


def _draw_activity(out, run, data, split, given):
    from videorep.evaluation import record_activity
    from videorep.figures import draw_activity

    steps = given["horizon"] or ACTIVITY_FRAMES
    draw_activity(out, **record_activity(run, data, split=split, steps=steps), **_counted(given))


def _draw_horizon(out, run, data, split, horizon):
    from videorep.evaluation import evaluate_future_prediction
    from videorep.figures import draw_horizon
    from videorep.progress import make_progress

    result = evaluate_future_prediction(
        run, data, split=split, limit=HORIZON_SEQUENCES, horizon=horizon, progress=make_progress()
    )
    unit, curves = next(iter(result["future_by_frame"].items()), ("", {}))
    errors = result["future_by_frame_standard_errors"].get(unit)
    draw_horizon(out, curves, unit, run.config.model.future_frames, errors)


def _draw_few_label_curve(out, folder, data, split):
    from videorep.evaluation.few_labels import measure_few_label_curve, tabulate
    from videorep.figures import draw_few_label_curve
    from videorep.progress import make_progress

    measured = measure_few_label_curve(folder, data, split=split, progress=make_progress())
    draw_few_label_curve(out, **measured)
    print_facts({"accuracies": tabulate(measured["results"]), "largest_class": measured["largest_class"]})
    for name, line in measured["results"].items():
        if len(line) == 1:
            say(
                f"Warning: '{name}' is one point, no curve: add runs of finetune with other --videos-per-class to "
                f"{folder}",
                err=True,
            )
