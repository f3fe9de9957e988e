"""`videorep build-shards percepts`."""

import dataclasses

import click

from videorep.build_config import ENGINE_PRECISIONS, ENGINES, ClipsConfig, PerceptsConfig
from videorep.cli import options, several_processes
from videorep.cli.printing import print_dataset
from videorep.cli.settings import read_configs
from videorep.cli.video_options import of_videos
from videorep.config import DTYPES, STREAMS
from videorep.quiet import load_tensorflow


@click.command(short_help="Run a convnet over clips or videos.")
@click.argument("source", metavar="SHARDS|VIDEOS")
@options.out_folder
@click.option(
    "--backbone",
    required=True,
    metavar="[vgg16|NAME|hub:PRESET|MODEL.keras|RUN]",
    help="A name from keras.applications, a preset of keras-hub (extra hub) or its folder, a Keras model whose input "
    "is an image, or a run of train-stream.",
)
@click.option(
    "--layer",
    multiple=True,
    callback=lambda ctx, param, names: names[0] if len(names) == 1 else names or None,
    help="Layer whose values to keep; vgg16: fc1 (the paper's fc6), others: the last. Given several times, the layers' "
    "values follow one another.",
)
@click.option(
    "--pool",
    metavar="[mean|none|grid:RxC]",
    help="Positions of a layer: their mean, all of them, or the means of R x C cells of the frame.  [default: mean; "
    "the class token of transformers]",
)
@click.option(
    "--weights",
    default=PerceptsConfig.weights,
    metavar="[imagenet|PATH]",
    help="Weights of a backbone from keras.applications.",
)
@click.option(
    "--stream", type=click.Choice(STREAMS), help="Frames, or optical flow.  [default: as the RUN was trained; else rgb]"
)
@click.option(
    "--flow-stack", type=int, help="Flow fields that the net sees.  [default: as the RUN was trained; else 1]"
)
@click.option("--dtype", type=click.Choice(DTYPES), default=PerceptsConfig.dtype, help="How values are stored.")
@click.option("--gzip", "compression", flag_value="gzip", help="Smaller where most values are 0; slower.")
@click.option("--batch-size", default=PerceptsConfig.batch_size, help="Frames per batch.")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=PerceptsConfig.engine,
    help="What computes the convnet; auto: the fastest that is installed (extras openvino, onnx).",
)
@click.option(
    "--precision",
    type=click.Choice(ENGINE_PRECISIONS),
    default=PerceptsConfig.precision,
    help="bfloat16, of openvino alone, is faster and less exact.",
)
@of_videos
@options.config_file
@options.long_work
@several_processes.in_parts
@click.pass_context
def build_percepts(ctx, source, out, **_):
    """Write what a convnet sees in each frame of the clips in SHARDS: a (frames, features) array per clip.

    In place of clip shards, VIDEOS may be what build-shards clips takes: a folder, or a list (.csv). Frames then go
    straight to the convnet, without JPEG; the options from --labels to --allow-leaks are those of build-shards clips.

    Frames are scaled until their shorter side is 15/14 of the convnet's input, then cut to the middle: the paper's
    crop, 224x224 of frames that are 240 pixels high.
    A flow stack that begins near the end of a clip repeats the last field.

    \b
    Examples:
      videorep build-shards percepts shards --out percepts --backbone vgg16
      videorep build-shards percepts shards --out percepts --backbone features.keras
      videorep build-shards percepts shards --out percepts --backbone hub:dinov2_small
      videorep build-shards percepts shards --out percepts --backbone vgg16 --layer block5_pool --pool grid:2x2
      videorep build-shards percepts shards --out percepts --backbone runs/flow
      videorep build-shards percepts my_videos --out percepts --backbone vgg16 --labels folders --fps 10
    """
    config, clips = read_configs(ctx, PerceptsConfig, ClipsConfig)

    load_tensorflow()
    from videorep.data.shards.not_shards import leads_to_videos

    if leads_to_videos(source):
        from videorep.data.percepts.direct import build_percepts_of_videos

        dataset = build_percepts_of_videos(source, out, config, clips, **several_processes.work(ctx))
    else:
        from videorep.data.percepts.build import build_percepts as build

        _require_default(clips, source)
        dataset = build(source, out, config, **several_processes.work(ctx))
    print_dataset(out, dataset)


def _require_default(clips, shards):
    """Raises bad usage where something of videos is asked of shards, which have been made already."""
    for field in dataclasses.fields(clips):
        if getattr(clips, field.name) != field.default:
            option = "--" + field.name.replace("_", "-")
            raise click.UsageError(
                f"expected videos for {option}, received {shards}, no folder of videos and no list; leave it out, or "
                "check the path"
            )
