"""`videorep reproduce prediction`."""

import click

from videorep.cli import options
from videorep.cli.reproduce import tell
from videorep.config import DataConfig
from videorep.quiet import load_tensorflow


@click.command(short_help="Prediction of frames: table 2, figures 5 to 10.")
@options.out_folder
@click.option("--scale", required=True, type=click.Choice(["laptop", "paper"]), help="Named settings.")
@click.option("--digits", default=DataConfig().digits, metavar="[mnist|rendered|FOLDER]", help="Digits that move.")
@click.option("--patches", metavar="CLIPS", help="Clip shards with a test split: natural image patches too.")
@click.option("--config", "settings", metavar="FILE.toml", help="Settings that overrule those of the scale.")
@options.long_work
@click.pass_context
def reproduce_prediction(ctx, out, **given):
    """Train the models of table 2 of the paper from several seeds, score all on the same sequences, draw what its
    figures 5 to 10 show, and write DIR/report.html, report.md and results.json with the paper's figures beside.

    \b
    Examples:
      videorep reproduce prediction --scale laptop --digits MNIST_FOLDER --out DIR
      videorep reproduce prediction --scale laptop --digits MNIST_FOLDER --patches clips --out DIR --dry-run
    """
    load_tensorflow()
    from videorep.reproduction.prediction import reproduce_prediction as measure
    from videorep.reproduction.prediction_settings import PredictionRequest

    request = PredictionRequest(**{name: given[name] for name in ("scale", "digits", "patches", "settings")})
    result = measure(request, out, **options.work(ctx))
    tell(result, out, given["dry_run"])
