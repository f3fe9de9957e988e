"""`videorep compare`."""

import click

from videorep.bounds import LARGEST
from videorep.cli import options
from videorep.cli.quiet import load_tensorflow
from videorep.cli.report import print_facts, say
from videorep.cli.settings import build_config
from videorep.comparison_config import CompareConfig
from videorep.config import MODELS, PRECISIONS

DEFAULTS = CompareConfig("")


@click.command(short_help="Tell whether pretraining helps on your data.")
@click.argument("data", metavar="DATA")
@options.out_folder
@click.option("--unlabelled", multiple=True, metavar="SHARDS", help="More of the same kind to pretrain on; repeatable.")
@click.option("--init", multiple=True, metavar="RUN", help="A pretrained run that is a contender too; repeatable.")
@click.option(
    "--models",
    type=options.CommaList(MODELS),
    default=DEFAULTS.models,
    help="Models to pretrain here; all unless given.",
)
@click.option("--no-pretraining", is_flag=True, help="Pretrain none here.")
@click.option("--units", type=int, default=DEFAULTS.units, show_default=True, help="Of the LSTM's one layer.")
@click.option(
    "--pretrain-steps", type=int, default=DEFAULTS.pretrain_steps, show_default=True, help="Of each pretraining."
)
@click.option("--draws", type=int, default=DEFAULTS.draws, show_default=True, help="Draws of labelled videos.")
@click.option(
    "--trials", type=int, default=DEFAULTS.trials, show_default=True, help="Settings that each contender tries."
)
@click.option("--precision", type=click.Choice(PRECISIONS[:2]), default=DEFAULTS.precision, show_default=True)
@click.option(
    "--seed", type=click.IntRange(0, LARGEST["seed"]), default=0, show_default=True, help="Decides every draw."
)
@click.option(
    "--beside", default="", metavar="DIR", help="Fuse with a comparison of the same videos, of another stream."
)
@click.option("--clips", metavar="SHARDS", help="Clips that the percepts were made from: shows those that were wrong.")
@options.long_work
def compare(data, out, resume, overwrite, dry_run, no_pretraining, models, clips, **settings):
    """Measure contenders on the labelled shards in DATA: the largest class, logistic regression on mean-pooled and on
    single frames, the LSTM from random weights and from pretrained models, frozen and finetuned.

    With 1, 2, 4, ... and all labelled videos per class of the training split, several draws each; settings are chosen
    on folds of the training videos, never by the test split. DIR/report.html tells which one to use, and what of the
    differences is chance.

    \b
    Examples:
      videorep compare percepts --out comparison
      videorep compare percepts --unlabelled more-percepts --out comparison --resume
      videorep compare flow --out comparison-flow --beside comparison
    """
    settings |= {"data": data, "models": () if no_pretraining else models}
    config = build_config(CompareConfig, settings, None)

    load_tensorflow()
    from videorep.comparison import compare as measure
    from videorep.progress import make_progress
    from videorep.report.comparison import write_comparison_page

    result = measure(config, out, resume=resume, overwrite=overwrite, dry_run=dry_run, progress=make_progress())
    if dry_run:
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
