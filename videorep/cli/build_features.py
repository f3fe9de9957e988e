"""`videorep build-shards features`."""

import click

from videorep.build_config import FeaturesConfig
from videorep.cli import options, several_processes
from videorep.cli.printing import print_dataset
from videorep.cli.settings import read_config
from videorep.config import DTYPES
from videorep.quiet import load_tensorflow


@click.command(short_help="Take features that others have made.")
@click.argument("folder", metavar="FOLDER")
@options.out_folder
@click.option(
    "--labels",
    metavar="[folders|ucf101|hmdb51|CSV|segments|TARGETS]",
    help="Where labels come from, as for clips; or a folder of arrays (frames, classes), one per video, in which every "
    "frame has the class with the largest value.",
)
@click.option(
    "--split",
    metavar="LISTS:N|SHARE",
    help="Folder of the official lists and the number of the split, or a share of each class to train on, such as 0.8.",
)
@click.option("--classes", metavar="FILE", help="Text file of the classes' names in order, one per line.")
@click.option(
    "--match",
    default=FeaturesConfig.match,
    metavar="PATTERN",
    help="Names of the arrays to take, such as '*_rgb.npy'; what the star stands for is the video's name.",
)
@click.option("--array", metavar="NAME", help="Array to take of .npz files that hold several.")
@click.option("--fps", type=float, help="Rows per second; unless given what VIDEO_timestamps_ms.npy or _fps.npy tell.")
@click.option("--dtype", type=click.Choice(DTYPES), default=FeaturesConfig.dtype, help="How values are stored.")
@click.option("--gzip", "compression", flag_value="gzip", help="Smaller where most values are 0; slower.")
@click.option("--seed", default=FeaturesConfig.seed, help="Decides every draw.")
@click.option(
    "--max-bad-fraction",
    default=FeaturesConfig.max_bad_fraction,
    help="Give up when more of the arrays than this cannot be used.",
)
@click.option("--allow-leaks", is_flag=True, help="Accept the same array or UCF group in train and test.")
@options.config_file
@options.long_work
@several_processes.in_parts
@click.pass_context
def build_features(ctx, folder, out, **_):
    """Write features that others have made as percepts, of which every command but those that see videos makes use.

    FOLDER holds an array per video, .npy or .npz, (frames, features) or (features,). Every array is either written or
    listed in dataset.json with the reason why not.

    \b
    Examples:
      videorep build-shards features FEATURES --out percepts --match '*_rgb.npy' --labels folders --split 0.8
      videorep build-shards features FEATURES --out percepts --match '*_rgb.npy' --labels ucf101 --split LISTS:1
      videorep build-shards features THUMOS/rgb_anet_resnet50 --out percepts --labels THUMOS/target_perframe --fps 4
    """
    config = read_config(ctx, FeaturesConfig)

    load_tensorflow()
    from videorep.data.features.build import build_features as build

    print_dataset(out, build(folder, out, config, **several_processes.work(ctx)))
