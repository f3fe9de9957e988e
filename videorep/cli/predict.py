"""`videorep predict`."""

import click

from videorep.cli import options
from videorep.cli.claim import claim_file
from videorep.quiet import load_tensorflow


@click.command(short_help="Let a run reconstruct and continue sequences.")
@options.run_argument
@options.data_argument
@click.option("--out", required=True, metavar="FILE.npz|.png|.gif", help="Arrays, a picture, or a moving picture.")
@click.option("--split", default="test", help="Split to take sequences from.")
@click.option("--count", type=click.IntRange(min=1), default=4, help="Sequences to predict.")
@click.option(
    "--horizon",
    type=click.IntRange(min=1),
    help="Frames to predict, as trained unless given; of an autoencoder, those before the input.",
)
@options.other_digits
@options.overwrite
def predict(run, data, out, split, count, horizon, overwrite, **_):
    """Let RUN reconstruct and continue sequences of DATA, and write what it makes of them.

    Arrays are the inputs (B, T, D), the true_future, and the model's reconstruction and future, in [0, 1] for pixels;
    of an autoencoder with --horizon also the past (not in a .gif).

    \b
    Examples:
      videorep predict runs/digits moving-mnist --out future.gif
      videorep predict runs/digits moving-mnist --out future.npz --count 100 --horizon 40
    """
    out = claim_file(out, overwrite, ".npz", ".png", ".gif")

    load_tensorflow()
    from videorep.evaluation import predict_sequences
    from videorep.figures.files import write_arrays
    from videorep.figures.strips import animate_strips, draw_strips
    from videorep.runs import load_run

    run = load_run(run)
    made = predict_sequences(run, options.data_like(run, data), split=split, count=count, horizon=horizon)
    if made["future"] is not None:
        made["outputs"].pop("past", None)
    if out.suffix.lower() == ".npz":
        arrays = {"inputs": made["inputs"], "true_future": made["future"], **made["outputs"]}
        write_arrays(out, {name: array for name, array in arrays.items() if array is not None})
    elif out.suffix.lower() == ".png":
        models = {run.path.name: made["outputs"]}
        draw_strips(out, made["inputs"], made["future"], models, frame_shape=made["frame_shape"])
    else:
        animate_strips(out, **made)
    click.echo(f"Wrote {out}")
