"""`videorep visualize`."""

import click

from videorep.cli import options
from videorep.cli.claim import claim_file
from videorep.cli.printing import print_facts, say
from videorep.cli.quiet import load_tensorflow
from videorep.config import PretrainConfig, are_shards
from videorep.errors import RunError

OF_PICTURES = ("strips", "features", "output-features")
ACTIVITY_FRAMES = 100
HORIZON_SEQUENCES = 200


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
@click.option("--horizon", type=click.IntRange(min=1), help="Frames to predict; as trained, or 100 for activity.")
@click.option("--beside", multiple=True, metavar="RUN", help="Another run to draw the curves of; may be repeated.")
@options.other_digits
@options.overwrite
def visualize(run, what, data, out, split, horizon, beside, **others):
    """Draw RUN, on its own data unless DATA is given.

    \b
    strips           sequences: the truth, the reconstruction, the predicted future
    curves           how training went, over sequences and over time
    features         the input weights of the first layer, one picture per unit and gate
    output-features  the weights from which the decoders' frames are read
    activity         hidden units over time, while the model reads a sequence and then runs on
    horizon          the error of each predicted frame, beside trivial predictors
    few-label-curve  accuracy over labelled videos per class, of all classifiers in the folder RUN

    \b
    Examples:
      videorep visualize runs/digits strips --out strips.png
      videorep visualize runs/digits curves --beside runs/bfloat16 --out curves.svg
      videorep visualize runs/digits horizon digits --horizon 40 --out horizon.png
      videorep visualize runs/few-labels few-label-curve --out few.png
    """
    if beside and what != "curves":
        raise click.BadParameter(
            f"only curves of several runs go into one picture, not {what}", param_hint="'--beside'"
        )
    out = claim_file(out, others["overwrite"], ".png", ".pdf", ".svg")
    if what in OF_PICTURES:
        _require_pictures(run, data, what)

    load_tensorflow()
    from videorep.runs import load_run

    if what == "few-label-curve":
        _draw_few_label_curve(out, run, data, split)
    else:
        run = load_run(run)
        source = options.data_like(run, data)
        if what == "curves":
            _draw_curves(out, [run, *(load_run(other) for other in beside)])
        elif what in ("features", "output-features"):
            _draw_features(out, run, source, split, what)
        else:
            draw = {"strips": _draw_strips, "activity": _draw_activity, "horizon": _draw_horizon}[what]
            draw(out, run, source, split, horizon)
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


def _draw_strips(out, run, data, split, horizon):
    from videorep.evaluation import predict_sequences
    from videorep.figures import draw_strips

    draw_strips(out, **predict_sequences(run, data, split=split, horizon=horizon))


def _draw_curves(out, runs):
    from videorep.figures import draw_curves

    for run in runs:
        run.require_reports()
    names = [run.path.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in runs]
    draw_curves(out, {name: run.metrics() for name, run in zip(names, runs, strict=True)})


def _draw_features(out, run, data, split, what):
    from videorep.evaluation import predict_sequences
    from videorep.figures import draw_features
    from videorep.figures.features import split_gates

    frame_shape = predict_sequences(run, data, split=split, count=1)["frame_shape"]
    model = run.model()
    if what == "features":
        groups = split_gates(model.encoder[0].cell.kernel)
    else:
        groups = {branch: decoder.output_kernel.numpy().T for branch, decoder in model.decoders.items()}
    draw_features(out, groups, frame_shape)


def _draw_activity(out, run, data, split, horizon):
    from videorep.evaluation.activity import record_activity
    from videorep.figures import draw_activity

    draw_activity(out, **record_activity(run, data, split=split, steps=horizon or ACTIVITY_FRAMES))


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
