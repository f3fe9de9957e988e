"""`videorep demo`."""

import click

from videorep.cli import options
from videorep.cli.printing import say
from videorep.cli.surprise import ahead, choose_predictor
from videorep.errors import ServerError
from videorep.quiet import load_tensorflow


@click.command(short_help="Show on a web page what runs make of a video.")
@click.argument("names", nargs=-1, required=True, metavar="RUN [RUN ...]")
@click.option(
    "--surprise",
    metavar="RUN",
    help="Show how much of a surprise each frame is to this run of videorep pretrain; it may also be the only RUN.",
)
@ahead
@click.option(
    "--embeddings", metavar="FILE.npz", help="Show the most similar videos of those that videorep embed wrote there."
)
@click.option("--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0: whoever reaches this machine.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8000, help="0: a free one.")
@click.option("--max-megabytes", type=click.IntRange(min=1), default=100, help="Of a video.")
@options.moved_backbone
def demo(names, surprise, ahead, embeddings, host, port, max_megabytes, backbone):
    """Show on a web page what the classifier in RUN makes of a video that is dropped there; several are averaged.

    The page plays the video above the probabilities after every frame, as videorep watch tells them, and gives the
    classes of the whole video, as videorep classify does. It listens on this machine alone unless --host says
    otherwise, asks for no password, and keeps no video. Ctrl-C ends it.

    \b
    Examples:
      videorep demo runs/classifier
      videorep demo runs/classifier --surprise runs/predictor --embeddings embeddings.npz
    """
    load_tensorflow()
    try:
        from videorep.demo.server import DemoServer, listen
    except ImportError as error:
        raise ServerError(
            f"expected aiohttp, which serves the page, received an installation without {error.name}; pip install "
            "'videorep[demo]'"
        ) from error
    from videorep.config import FinetuneConfig
    from videorep.demo.answer import MOST_FRAMES, Answerer
    from videorep.progress import make_progress
    from videorep.runs import load_run
    from videorep.training.interruption import deferred_interruption

    runs = [load_run(name) for name in (*names, *filter(None, [surprise]))]
    surprising = bool(surprise) or any(run.config.kind == "pretrain" for run in runs)
    if surprising:
        choose_predictor(runs)
    answerer = Answerer(runs, backbone, embeddings, ahead=ahead, progress=make_progress())
    blocks = sorted({run.config.model.block[0] for run in runs if isinstance(run.config, FinetuneConfig)})
    facts = {"runs": [run.path.name for run in runs], "blocks": blocks, "surprising": surprising}
    with deferred_interruption() as stop:
        server = DemoServer(answerer, max_megabytes * 1_000_000, facts | {"most_frames": MOST_FRAMES})
        listen(server, host, port, stop, lambda address: say(f"Open {address} in a browser; Ctrl-C ends it."))
