"""`videorep compare`."""

import click

from videorep.cli import options
from videorep.cli.parameter_types import CommaList
from videorep.cli.printing import print_facts, say
from videorep.cli.settings import read_config
from videorep.comparison_config import NONE, CompareConfig
from videorep.config import MODELS, PRECISIONS
from videorep.quiet import load_tensorflow


@click.command(short_help="Tell whether pretraining helps on your data.")
@options.data_argument
@options.out_folder
@click.option(
    "--fuse",
    multiple=True,
    metavar="SHARDS",
    help="Another stream of the same videos (flow): alone and fused; repeatable.",
)
@click.option("--unlabelled", multiple=True, metavar="SHARDS", help="More of the same kind to pretrain on; repeatable.")
@click.option("--init", multiple=True, metavar="RUN", help="A pretrained run that is a contender too; repeatable.")
@click.option("--models", type=CommaList((*MODELS, NONE)), default=",".join(MODELS), help="Models to pretrain here.")
@click.option("--units", default=CompareConfig.units, help="Size of each layer of the LSTM.")
@click.option("--layers", default=CompareConfig.layers, help="Number of them.")
@click.option("--pretrain-steps", default=CompareConfig.pretrain_steps, help="Of each pretraining.")
@click.option("--draws", default=CompareConfig.draws, help="Draws of labelled videos.")
@click.option("--trials", default=CompareConfig.trials, help="Settings that each contender tries.")
@click.option("--precision", type=click.Choice(PRECISIONS[:2]), default=CompareConfig.precision)
@click.option("--seed", default=CompareConfig.seed, help="Decides every draw.")
@click.option("--clips", metavar="SHARDS", help="Clips that the percepts were made from: shows those that were wrong.")
@options.config_file
@options.long_work
@click.pass_context
def compare(ctx, out, clips, **_):
    """Measure contenders on the labelled shards in DATA: the largest class, logistic regression on mean-pooled frames,
    on the means of both halves of a video and on single frames, the LSTM from random weights and from pretrained
    models, frozen and finetuned.

    With 1, 2, 4, ... and all labelled videos per class of the training split, several draws each; settings are chosen
    on folds of the training videos, never by the test split. DIR/report.html tells which one to use, and what of the
    differences is chance. Single frames learn from 16 frames of each video, evenly spread, and from fewer where videos,
    frames and features multiply to more than two million. --dry-run measures what all will take.

    \b
    Examples:
      videorep compare percepts --out comparison
      videorep compare percepts --unlabelled more-percepts --out comparison --resume
      videorep compare percepts --fuse flow-percepts --out comparison
      videorep compare percepts --init runs/composite --models none --out comparison
    """
    config = read_config(ctx, CompareConfig)

    load_tensorflow()
    from videorep.comparison import compare as measure
    from videorep.report.comparison import require_clips, write_comparison_page

    if clips:
        require_clips(clips, config.data)
    result = measure(config, out, **options.work(ctx))
    if ctx.params["dry_run"]:
        print_facts(result)
        return
    write_comparison_page(out, result, clips)
    print_facts({"accuracy": tabulate(result["results"])})
    say(result["advice"])
    say(f"Wrote {out}/report.html")


def tabulate(results):
    """A row per contender, a column per number of labelled videos per class."""
    rows = {}
    for each in results:
        deviation = f" ± {each['deviation']:.1%}" if each["deviation"] else ""
        row = rows.setdefault(each["contender"], {"contender": each["contender"]})
        row[str(each["videos_per_class"] or "all")] = f"{each['mean']:.1%}{deviation}"
    return list(rows.values())
