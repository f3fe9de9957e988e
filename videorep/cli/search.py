"""`videorep search`."""

from pathlib import Path

import click

from videorep.cli import options
from videorep.cli.claim import claim_file
from videorep.cli.printing import print_table, say
from videorep.quiet import load_tensorflow


@click.command(short_help="Find the videos that are most like one.")
@options.run_argument
@click.argument("video", metavar="VIDEO")
@click.argument("embeddings", metavar="EMBEDDINGS")
@click.option("--top", type=click.IntRange(min=1), default=5, help="Videos to find.")
@click.option("--out", metavar="FILE.png", help="Draw a frame of VIDEO and of each video found there.")
@options.moved_backbone
@options.overwrite
def search(run, video, embeddings, top, out, backbone, overwrite):
    """Find in EMBEDDINGS the videos that are most like VIDEO: by cosine similarity, the most similar first.

    EMBEDDINGS is a .npz file that videorep embed made with the same RUN. With --out, the middle frames of VIDEO and of
    those found videos that can still be opened are drawn.

    \b
    Examples:
      videorep search runs/composite holiday.mp4 embeddings.npz
      videorep search runs/composite holiday.mp4 embeddings.npz --top 10 --out found.png
    """
    out = claim_file(out, overwrite, ".png")

    load_tensorflow()
    from videorep.live import search_videos
    from videorep.progress import make_progress
    from videorep.runs import load_run

    found, reason = search_videos(
        load_run(run), video, embeddings, top=top, backbones=backbone, progress=make_progress()
    )
    if reason:
        say(f"{video}: {reason}", err=True)
    print_table([row | {"label": row["label"] or None} for row in found])
    if out:
        _draw(out, video, found)


def _draw(out, video, found):
    from videorep.figures.contact_sheet import write_tiles
    from videorep.live.search import read_middle_frames

    titles = [(video, ("searched", Path(video).name))]
    titles += [(row["path"], (f"{row['similarity']:.3f} {row['label']}", Path(row["path"]).name)) for row in found]
    frames = read_middle_frames(path for path, _ in titles)
    if tiles := [(lines, frames[path][..., ::-1]) for path, lines in titles if path in frames]:
        write_tiles(out, tiles)
        say(f"Wrote {out}")
    if closed := len(titles) - len(tiles):
        say(f"{closed:,} of {len(titles):,} videos cannot be opened any more and are not drawn", err=True)
