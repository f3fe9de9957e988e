"""`videorep embed`."""

from pathlib import Path

import click

from videorep.cli import options
from videorep.cli.claim import claim_file
from videorep.cli.printing import say
from videorep.errors import DataError
from videorep.quiet import load_tensorflow
from videorep.storage import is_url


@click.command(short_help="Turn videos into vectors.")
@options.run_argument
@click.argument("names", nargs=-1, required=True, metavar="VIDEO [VIDEO ...] | SHARDS")
@click.option("--out", required=True, metavar="FILE.npz|.tsv|.parquet", help="File for the vectors.")
@click.option(
    "--per",
    type=click.Choice(["video", "block", "frame"]),
    default="video",
    help="What a row is of: a video (the mean over its blocks), a block, or every frame of every block.",
)
@click.option("--split", help="Split of SHARDS; all unless given.")
@options.moved_backbone
@options.direct
@options.overwrite
def embed(run, names, out, per, split, backbone, direct, overwrite):
    """Write what the encoder of RUN knows of each VIDEO: h of its top layer after the last frame of each block.

    RUN was made by pretrain or finetune. A VIDEO is a file, a folder, which is searched in depth, or a list (.csv) of
    path[,start,end][,label]; frames go through the stages that the run's shards went through. SHARDS is a folder of
    percepts. .npz holds "embeddings" (N, D) float32, "paths" and "labels"; .tsv is for TensorBoard's projector, with
    paths and labels in FILE-metadata.tsv beside it. Every file ends as a row or is told with the reason why not.

    \b
    Examples:
      videorep embed runs/composite VIDEOS --out embeddings.npz
      videorep embed runs/composite percepts --split test --out test.tsv
      videorep embed runs/classifier holiday.mp4 --per block --out holiday.parquet
    """
    out = claim_file(out, overwrite, ".npz", ".tsv", ".parquet")

    load_tensorflow()
    from videorep.data.shards.dataset import MANIFEST
    from videorep.live import embed_shards, embed_videos
    from videorep.live.embeddings import metadata_path, require_kind, write_embeddings
    from videorep.progress import make_progress
    from videorep.runs import load_run

    require_kind(out)
    files = [out, *([claim_file(metadata_path(out), overwrite)] if out.suffix.lower() == ".tsv" else [])]
    shards = [name for name in names if is_url(name) or (Path(name) / MANIFEST).is_file()]
    if (len(names) > 1 or backbone or direct) if shards else split:
        raise click.UsageError(
            "Expected VIDEOs, perhaps with --backbone or --direct, or one SHARDS, perhaps with --split."
        )
    work, reasons = {"per": per, "progress": make_progress()}, {}
    if shards:
        made = embed_shards(load_run(run), shards[0], split=split, **work)
    else:
        made, reasons = embed_videos(load_run(run), names, backbones=backbone, direct=direct, **work)
    for path, reason in reasons.items():
        say(f"{path}: {reason}", err=True)
    if not made.paths:
        raise DataError("expected at least one video that can be embedded, received none; name others")
    write_embeddings(out, made)
    for path in files:
        say(f"Wrote {path}")
    found = set(made.paths)
    say(f"{len(found):,} of {len(found | reasons.keys()):,} videos embedded", err=True)
