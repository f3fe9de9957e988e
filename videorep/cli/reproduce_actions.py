"""`videorep reproduce actions`."""

import logging

import click

from videorep.cli import options
from videorep.cli.reproduce import tell
from videorep.quiet import load_tensorflow

OFFICIAL = ("ucf101", "hmdb51")


@click.command(short_help="Action recognition: tables 1, 3 and 4, figure 12.")
@click.argument("videos", required=False, metavar="[VIDEOS]")
@options.out_folder
@click.option("--ucf101", nargs=2, metavar="VIDEOS LISTS", help="UCF-101, and the folder of its official lists.")
@click.option("--hmdb51", nargs=2, metavar="VIDEOS LISTS", help="HMDB-51, and the folder of its official lists.")
@click.option("--scale", required=True, type=click.Choice(["laptop", "paper"]), help="Named settings.")
@click.option(
    "--backbone", required=True, metavar="[vgg16|NAME|hub:PRESET|MODEL.keras|RUN]", help="Convnet that sees the frames."
)
@click.option("--weights", default="imagenet", metavar="[imagenet|PATH]", help="Weights of a named backbone.")
@click.option("--flow-backbone", metavar="MODEL.keras|RUN", help="Convnet that sees optical flow: tables 1 and 4.")
@click.option("--flow-stack", type=int, help="Flow fields that it sees.  [default: as the RUN was trained; else 1]")
@click.option(
    "--unlabelled",
    multiple=True,
    metavar="SHARDS",
    help="Percepts of the same backbone to pretrain on, once, instead of each training side; repeatable.",
)
@click.option("--config", "settings", metavar="FILE.toml", help="Settings that overrule those of the scale.")
@options.long_work
@click.pass_context
def reproduce_actions(ctx, videos, out, **given):
    """Measure on each split what tables 1, 3 and 4 and figure 12 of the paper show, and write DIR/report.html,
    report.md and results.json with the paper's figures beside.

    VIDEOS is a folder with a folder of videos for each class. --dry-run counts what is there of what the official lists
    name, and estimates the time; what is missing is told, and the rest is measured.

    \b
    Examples:
      videorep reproduce actions VIDEOS --scale laptop --backbone features.keras --out DIR
      videorep reproduce actions --ucf101 UCF-101 LISTS --scale laptop --backbone features.keras --out DIR --dry-run
    """
    data = [(name, *given[name]) for name in OFFICIAL if given[name]] + ([("folders", videos, "")] if videos else [])
    if not data:
        raise click.UsageError("expected VIDEOS, --ucf101 or --hmdb51, received none of them")

    load_tensorflow()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # many models look to it like one compiled too often
    from videorep.reproduction.actions import reproduce_actions as measure
    from videorep.reproduction.actions_settings import Request

    names = ("scale", "settings", "backbone", "weights", "flow_backbone", "flow_stack", "unlabelled")
    result = measure(Request(tuple(data), **{name: given[name] for name in names}), out, **options.work(ctx))
    tell(result, out, given["dry_run"])
