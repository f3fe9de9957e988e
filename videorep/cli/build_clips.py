"""`videorep build-shards clips`."""

import click

from videorep.build_config import ClipsConfig
from videorep.cli import options
from videorep.cli.parameter_types import FrameSize
from videorep.cli.printing import print_dataset
from videorep.cli.quiet import load_tensorflow
from videorep.cli.settings import read_config


@click.command(short_help="Decode videos.")
@click.argument("videos", metavar="VIDEOS")
@options.out_folder
@click.option(
    "--labels",
    metavar="[folders|ucf101|hmdb51|CSV|segments]",
    help="Where labels come from: class folders, official names and lists, or a CSV of path[,start,end][,label]. "
    "With segments, VIDEOS is such a CSV, and every frame gets the label of its row, or background.",
)
@click.option(
    "--split",
    metavar="LISTS:N|SHARE",
    help="Folder of the official lists and the number of the split, or a share of each class to train on, such as 0.8.",
)
@click.option("--fps", type=float, help="Frames per second to keep; as filmed unless given.")
@click.option(
    "--size",
    type=FrameSize(),
    help="Height and width of the frames, or their shorter side alone, such as 240; as filmed unless given.",
)
@click.option("--sample-seconds", type=float, help="Cut random clips of this length from long videos.")
@click.option("--total-hours", type=float, help="Hours of random clips in all.")
@click.option("--seed", default=ClipsConfig.seed, help="Decides every draw.")
@click.option("--workers", type=int, help="Processes that decode; one per core unless given.")
@click.option("--timeout", default=ClipsConfig.timeout, help="Seconds without a new frame that a video may take.")
@click.option(
    "--max-bad-fraction",
    default=ClipsConfig.max_bad_fraction,
    help="Give up when more of the videos than this cannot be read.",
)
@click.option("--keep-partial", is_flag=True, help="Keep the frames that a damaged video does yield.")
@click.option("--allow-leaks", is_flag=True, help="Accept the same video or UCF group in train and test.")
@click.option(
    "--quality",
    default=ClipsConfig.quality,
    help="JPEG quality of the frames, 1 to 100; 75 takes less than half the space of 95.",
)
@options.config_file
@options.long_work
@click.pass_context
def build_clips(ctx, videos, out, **_):
    """Write the videos in the folder VIDEOS as clips, each frame a JPEG.

    Every video is either written or listed in dataset.json with the reason why not; nothing is ever substituted.
    Frame by frame, clips take many times the bytes of the videos: --dry-run tells about how many.

    \b
    Examples:
      videorep build-shards clips my_videos --out shards --labels folders
      videorep build-shards clips UCF-101 --out shards --labels ucf101 --split ucfTrainTestlist:1 --size 240x320
      videorep build-shards clips actions.csv --out shards --labels segments --split 0.8 --fps 10
      videorep build-shards clips sports --out shards --sample-seconds 10 --total-hours 300
    """
    config = read_config(ctx, ClipsConfig)

    load_tensorflow()
    from videorep.data.videos.build import build_clips as build

    print_dataset(out, build(videos, out, config, **options.work(ctx)))
