"""The options that decide which frames of which videos a build takes, and the class and the split of each."""

import click

from videorep.build_config import ClipsConfig
from videorep.cli import options
from videorep.cli.parameter_types import FrameSize

of_videos = options.combine(
    click.option(
        "--labels",
        metavar="[folders|ucf101|hmdb51|CSV|segments]",
        help="Where labels come from: class folders, official names and lists, or a CSV of path[,start,end][,label]. "
        "With segments, VIDEOS is such a CSV, and every frame gets the label of its row, or background.",
    ),
    click.option(
        "--split",
        metavar="LISTS:N|SHARE",
        help="Folder of the official lists and the number of the split, or a share of each class to train on, such as "
        "0.8.",
    ),
    click.option("--fps", type=float, help="Frames per second to keep; as filmed unless given."),
    click.option("--every", type=int, metavar="N", help="Keep every N-th frame, at whatever rate it was filmed."),
    click.option(
        "--size",
        type=FrameSize(),
        help="Height and width of the frames, or their shorter side alone, such as 240; as filmed unless given.",
    ),
    click.option("--sample-seconds", type=float, help="Cut random clips of this length from long videos."),
    click.option("--total-hours", type=float, help="Hours of random clips in all."),
    click.option("--seed", default=ClipsConfig.seed, help="Decides every draw."),
    click.option("--workers", type=int, help="Processes that decode; one per core unless given."),
    click.option("--timeout", default=ClipsConfig.timeout, help="Seconds without a new frame that a video may take."),
    click.option(
        "--max-bad-fraction",
        default=ClipsConfig.max_bad_fraction,
        help="Give up when more of the videos than this cannot be read.",
    ),
    click.option("--keep-partial", is_flag=True, help="Keep the frames that a damaged video does yield."),
    click.option("--allow-leaks", is_flag=True, help="Accept the same video or UCF group in train and test."),
)
