"""The `videorep` program: finds a command, runs it, and says in one sentence what went wrong.

Exit status: 0 done, 1 an error with a remedy, 2 bad usage, 130 interrupted, 143 terminated, 129 hung up.
"""

import contextlib
import os
import sys
import warnings

import click

import videorep
from videorep.cli.errors import explain_operating_system_error, explain_unexpected_error, is_resumable
from videorep.cli.lazy import LazyGroup
from videorep.cli.termination import Terminated, ending_on_signals, leave_alone
from videorep.errors import VideorepError, VideorepWarning
from videorep.progress import visible
from videorep.quiet import silence_tensorflow


class VideorepGroup(LazyGroup):
    """The top group: turns what its commands raise into one sentence and an exit status."""

    def invoke(self, ctx):
        try:
            with _warnings_in_one_line():
                return super().invoke(ctx)
        except VideorepError as error:
            raise click.ClickException(visible(str(error))) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(visible(explain_operating_system_error(error, ctx))) from error
        except (KeyboardInterrupt, Terminated) as stop:
            leave_alone()
            resume = ": give the same command again with --resume to go on" if is_resumable(ctx) else ""
            with contextlib.suppress(OSError):  # The terminal may be gone.
                click.echo(f"\nInterrupted{resume}.", err=True)
            ctx.exit(130 if isinstance(stop, KeyboardInterrupt) else stop.exit_status)


@contextlib.contextmanager
def _warnings_in_one_line():
    """Shows the warnings of videorep as the sentences that they are."""

    def show(message, category, *arguments, **options):
        if issubclass(category, VideorepWarning):
            click.echo(visible(f"Warning: {message}"), err=True)
        else:
            others(message, category, *arguments, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("always", VideorepWarning)
        others, warnings.showwarning = warnings.showwarning, show
        yield


@click.group(
    cls=VideorepGroup,
    commands_in={
        "build-shards": "videorep.cli.build_shards:build_shards",
        "pretrain": "videorep.cli.pretrain:pretrain",
        "train-stream": "videorep.cli.train_stream:train_stream",
        "finetune": "videorep.cli.finetune:finetune",
        "compare": "videorep.cli.compare:compare",
        "reproduce": "videorep.cli.reproduce:reproduce",
        "evaluate": "videorep.cli.evaluate:evaluate",
        "classify": "videorep.cli.classify:classify",
        "embed": "videorep.cli.embed:embed",
        "search": "videorep.cli.search:search",
        "watch": "videorep.cli.watch:watch",
        "demo": "videorep.cli.demo:demo",
        "predict": "videorep.cli.predict:predict",
        "visualize": "videorep.cli.visualize:visualize",
        "export": "videorep.cli.export:export",
        "serve-config": "videorep.cli.serve_config:serve_config",
        "inspect": "videorep.cli.inspect:inspect",
        "verify": "videorep.cli.verify:verify",
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True},
)
@click.version_option(videorep.__version__, message="videorep %(version)s")
def videorep_command():
    """Learn from unlabelled videos, then classify actions from few labels.

    \b
    The usual way:
      videorep build-shards clips VIDEOS --out shards --labels folders --split 0.8
      videorep build-shards percepts shards --out percepts --backbone vgg16
      videorep pretrain percepts --out runs/composite
      videorep finetune percepts --init runs/composite --out runs/classifier
      videorep evaluate runs/classifier percepts
      videorep export runs/classifier --out serving
    """


def main():
    """Entry point of the `videorep` program."""
    silence_tensorflow()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # training is written for it
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what is wrong with a video is told in a sentence
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    if os.environ.get("VIDEOREP_TRACEBACK"):
        sys.exit(videorep_command.main(prog_name="videorep", standalone_mode=False))
    sys.excepthook = explain_unexpected_error
    with ending_on_signals():
        videorep_command.main(prog_name="videorep")


if __name__ == "__main__":
    main()
