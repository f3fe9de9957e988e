"""`videorep build-shards clips`."""

import click

from videorep.cli import options
from videorep.cli.quiet import load_tensorflow
from videorep.cli.report import print_dataset


@click.command(short_help="Decode videos.")
@click.argument("videos", metavar="VIDEOS")
@options.out_folder
@click.option(
    "--labels",
    metavar="[folders|ucf101|hmdb51|CSV]",
    help="Where labels come from: class folders, official names and lists, or a CSV of path[,start,end][,label].",
)
@click.option(
    "--split",
    metavar="LISTS:N|SHARE",
    help="Folder of the official lists and the number of the split, or a share of each class to train on, such as 0.8.",
)
@click.option(
    "--fps", type=click.FloatRange(min=0, min_open=True), help="Frames per second to keep; as filmed unless given."
)
@click.option(
    "--size",
    type=options.FrameSize(),
    help="Height and width of the frames, or their shorter side alone, such as 240; as filmed unless given.",
)
@click.option("--sample-seconds", type=float, help="Cut random clips of this length from long videos.")
@click.option("--total-hours", type=float, help="Hours of random clips in all.")
@options.seed
@click.option("--workers", type=click.IntRange(min=1), help="Processes that decode; one per core unless given.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds without a new frame that a video may take.",
)
@click.option(
    "--max-bad-fraction",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Give up when more of the videos than this cannot be read.",
)
@click.option("--keep-partial", is_flag=True, help="Keep the frames that a damaged video does yield.")
@click.option("--allow-leaks", is_flag=True, help="Accept the same video or UCF group in train and test.")
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    default=95,
    show_default=True,
    help="JPEG quality of the frames; 75 takes less than half the space of 95.",
)
@options.long_work
def build_clips(videos, out, **choices):
    """Write the videos in the folder VIDEOS as clips, each frame a JPEG.

    Every video is either written or listed in dataset.json with the reason why not; nothing is ever substituted.
    Frame by frame, clips take many times the bytes of the videos: --dry-run tells about how many.

    \b
    Examples:
      videorep build-shards clips my_videos --out shards --labels folders
      videorep build-shards clips UCF-101 --out shards --labels ucf101 --split ucfTrainTestlist:1 --size 240x320
      videorep build-shards clips sports --out shards --sample-seconds 10 --total-hours 300
    """
    load_tensorflow()
    from videorep.data.videos.build import build_clips as build
    from videorep.progress import make_progress

    print_dataset(out, build(videos, out, **choices, progress=make_progress()))
