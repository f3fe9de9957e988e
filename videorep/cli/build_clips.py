"""`videorep build-shards clips`."""

import click

from videorep.build_config import ClipsConfig
from videorep.cli import options, several_processes
from videorep.cli.printing import print_dataset
from videorep.cli.settings import read_config
from videorep.cli.video_options import of_videos
from videorep.quiet import load_tensorflow


@click.command(short_help="Decode videos.")
@click.argument("videos", metavar="VIDEOS")
@options.out_folder
@of_videos
@click.option(
    "--quality",
    default=ClipsConfig.quality,
    help="JPEG quality of the frames, 1 to 100; 75 takes less than half the space of 95.",
)
@options.config_file
@options.long_work
@several_processes.in_parts
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

    print_dataset(out, build(videos, out, config, **several_processes.work(ctx)))
