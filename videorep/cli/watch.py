"""`videorep watch`."""

import contextlib
import sys
import time

import click

from videorep.cli import options
from videorep.cli.claim import claim_file
from videorep.cli.printing import print_facts, say
from videorep.cli.surprise import choose_predictor, surprise_options
from videorep.progress import make_progress, visible
from videorep.quiet import load_tensorflow
from videorep.storage import require_apart

LINES_EVERY = 1.0  # seconds, where there is no terminal
BARS, WIDTH = 10, 30
FULL = 6.0  # surprise of a full bar


@click.command(short_help="Classify a camera, a stream or a file, frame by frame, or tell what is unusual.")
@click.argument("source", metavar="SOURCE")
@click.option(
    "--run",
    "runs",
    required=True,
    multiple=True,
    metavar="RUN",
    help="Classifier; several are averaged. With --surprise also a run of videorep pretrain.",
)
@click.option("--out", metavar="FILE.mp4", help="Write the frames there, with what is told drawn on them.")
@click.option(
    "--events", metavar="FILE.jsonl", help="Write a line there whenever the class changes, or a surprise begins."
)
@surprise_options
@click.option(
    "--threshold",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    help="Surprise above which one begins; it ends at the half.",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take every N-th frame.  [default: as the run was trained: all, every N-th or as many per second]",
)
@options.moved_backbone
@options.overwrite
def watch(source, runs, out, events, every, backbone, overwrite, **surprising):
    """Tell which class SOURCE shows, or how unusual it is, frame after frame, until it ends or Ctrl-C.

    SOURCE is a file, the number of a camera, or the URL of a stream, such as rtsp://camera/1; one that breaks off is
    opened again. The state is carried from frame to frame: every frame costs one call of the convnet and one step.
    SOURCE is decoded in this process, unlike in other commands: watch your own cameras, not strangers' files.

    \b
    Examples:
      videorep watch 0 --run runs/classifier
      videorep watch holiday.mp4 --run runs/classifier --out watched.mp4 --events changes.jsonl
      videorep watch rtsp://camera/1 --run runs/rgb --run runs/flow --every 2
      videorep watch rtsp://camera/1 --run runs/predictor --surprise --events unusual.jsonl
    """
    out, events = claim_file(out, overwrite, ".mp4"), claim_file(events, overwrite)
    for path in filter(None, (out, events)):
        require_apart(path, {"SOURCE": source})

    load_tensorflow()
    from videorep.config import FinetuneConfig, PretrainConfig
    from videorep.live.live_runs import LiveRuns
    from videorep.live.source import Source
    from videorep.live.watch import Tally
    from videorep.live.watch import watch as watch_source
    from videorep.runs import load_run

    runs, kinds, ahead = [load_run(run) for run in runs], (FinetuneConfig,), {}
    if surprising["surprise"]:
        choose_predictor(runs)
        Source(source).close()  # one that is not there is told before minutes go into what is usual
        kinds, ahead = (FinetuneConfig, PretrainConfig), {"ahead": surprising["ahead"], "progress": make_progress()}
    live = LiveRuns(runs, backbone, kinds, **ahead)
    opened = Source(source, every or live.every, live.fps, tell=lambda sentence: say(sentence, err=True))
    tally = Tally()
    with contextlib.closing(opened):
        try:
            with (_bars if sys.stdout.isatty() else _lines)(live.classes) as show:
                threshold = surprising["threshold"]
                watch_source(opened, live, tally, out=out, events=events, threshold=threshold, show=show)
        finally:
            print_facts(tally.summary(opened.skipped))
    for path in filter(None, (out, events)):
        say(f"Wrote {path}")


@contextlib.contextmanager
def _lines(classes):
    """Gives what tells a moment in a line, one per second."""
    told = -LINES_EVERY

    def show(seconds, probabilities, surprise):
        nonlocal told
        best = [] if probabilities is None else [probabilities.argmax()]
        words = [f"{classes[number]} {probabilities[number]:.2f}" for number in best]
        words += [] if surprise is None else [f"surprise {surprise:.2f}"]
        if words and time.monotonic() - told >= LINES_EVERY:
            told = time.monotonic()
            say("  ".join([f"{seconds:8.2f} s", *words]))

    yield show


@contextlib.contextmanager
def _bars(classes):
    """Gives what shows every moment on a terminal."""
    from rich.live import Live
    from rich.text import Text

    length = max(map(len, ("surprise", *classes)))
    with Live(refresh_per_second=10) as screen:

        def show(seconds, probabilities, surprise):
            lines = [f"{seconds:8.2f} s"]
            for number in [] if probabilities is None else probabilities.argsort()[::-1][:BARS]:
                share = probabilities[number]
                lines.append(f"{visible(classes[number]):<{length}} {'█' * round(WIDTH * share):<{WIDTH}} {share:.2f}")
            if surprise is not None:
                full = round(WIDTH * min(max(surprise / FULL, 0), 1))
                lines.append(f"{'surprise':<{length}} {'█' * full:<{WIDTH}} {surprise:.2f}")
            screen.update(Text("\n".join(lines)))

        yield show
