"""`videorep export`."""

import click

from videorep.cli import options
from videorep.cli.printing import print_facts
from videorep.quiet import load_tensorflow, quiet_libraries


@click.command(short_help="Write a run as a SavedModel, as LiteRT or as ONNX.")
@options.run_argument
@options.out_folder
@click.option(
    "--format",
    "format_",
    type=click.Choice(["savedmodel", "litert", "onnx"]),
    default="savedmodel",
    show_default=True,
    help="litert and onnx: the step of a classifier, and its convnet, for one frame at a time.",
)
@click.option(
    "--version", type=click.IntRange(min=1), help="Number of a SavedModel's version; the next free one unless given."
)
@options.moved_backbone
@click.option(
    "--scores",
    multiple=True,
    metavar="FILE",
    help="What evaluate --json wrote of RUN; the model card states it, with a 95 % interval or a standard error.",
)
@click.option(
    "--check/--no-check",
    default=True,
    help="Whether a process without videorep must give the model's answers before the version is there; the warm-up is "
    "written and tried only then. Of litert and onnx: whether their runtime must, where it is installed.",
)
@options.overwrite
def export(run, out, format_, version, overwrite, backbone, **choices):
    """Write the model of RUN as a SavedModel, DIR/N/saved_model.pb, for TensorFlow Serving or TensorFlow alone.

    Its signatures take percepts, and JPEG frames where the convnet of the percepts is found: see docs/serving.md.
    For machines without TensorFlow, write DIR/step.tflite and DIR/backbone.tflite, or .onnx.

    \b
    Examples:
      videorep export runs/classifier --out serving
      videorep export runs/classifier --out serving --version 7
      videorep export runs/classifier --out phone --format litert
      videorep export runs/classifier --out serving --scores accuracy.json
    """
    if format_ != "savedmodel" and version:
        raise click.UsageError(f"--version is of a SavedModel; leave it out with --format {format_}")
    load_tensorflow()
    from videorep.progress import make_progress

    progress, given = make_progress(), {"overwrite": overwrite, "backbones": backbone, **choices}
    if format_ == "savedmodel":
        from videorep.serving.export import export as write_saved_model

        print_facts(write_saved_model(run, out, version, progress=progress, **given))
    else:
        from videorep.serving.formats import export_format

        # What is not convertible fills a screen before the sentence that says so.
        with progress.task(f"Writing {format_}", 1, "export") as advance, quiet_libraries():
            facts = export_format(run, out, format_, **given)
            advance(1)
        print_facts(facts)
