"""Options of the commands that tell surprise, and the run that tells it."""

import click

from videorep.cli.options import combine

ahead = click.option(
    "--ahead",
    type=click.IntRange(min=1),
    metavar="N",
    help="Frames before each frame at which it is predicted.  [default: as many as the run predicts]",
)
surprise_options = combine(
    click.option(
        "--surprise",
        is_flag=True,
        help="Tell how much of a surprise each frame is to the RUN of videorep pretrain: 0 is usual, 3 is three usual "
        "deviations above.",
    ),
    ahead,
)


def choose_predictor(runs):
    """The one run of `videorep pretrain` among runs; a UsageError where there is none, or several."""
    predictors = [run for run in runs if run.config.kind == "pretrain"]
    if len(predictors) != 1:
        raise click.UsageError(
            f"Expected one RUN of videorep pretrain with --surprise, received {len(predictors)}; name one future "
            "predictor or composite."
        )
    return predictors[0]
