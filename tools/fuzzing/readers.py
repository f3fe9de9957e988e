"""What reads each kind of file: functions of a folder that give a result which can be compared, or raise."""

import contextlib
import io
import json
from pathlib import Path

from fuzzing import samples

_pools = []


def refusal():
    """The exceptions with which bad input may be refused."""
    import click

    from videorep.errors import VideorepError

    return VideorepError, click.ClickException, click.Abort, click.exceptions.Exit


@contextlib.contextmanager
def refusals_kept(refusals):
    """Goes on behind a refusal, so that the other readers have their turn too."""
    try:
        yield
    except refusal() as error:
        refusals.append(error)


def verify_thoroughly(verify, folder):
    """What `verify` finds, decoding every image where it can."""
    import inspect

    return list(verify(folder, **({"decode": True} if "decode" in inspect.signature(verify).parameters else {})))


class WrongResultError(Exception):
    """A reader gave a result that a property of the format rules out."""


def _click(command, arguments):
    """What a command prints; a click.UsageError and the like pass through."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        command.main(arguments, prog_name="videorep", standalone_mode=False)
    return printed.getvalue()


def read_digits(folder):
    from videorep.data.digits.mnist import load_digits

    source = folder / "mnist.npz" if (folder / "mnist.npz").exists() else folder
    return [load_digits(source, split).tobytes() for split in ("train", "test")]


def list_by(**options):
    def read(folder):
        from videorep.data.videos.labels import list_videos

        named = {key: str(folder / value) for key, value in options.items() if key != "labels"}
        labels = options["labels"] if "csv" not in options["labels"] else str(folder / options["labels"])
        listing = list_videos(folder / "videos", labels=labels, **named)
        return [listing.labels, [(video.file.name, video.label, video.split) for video in listing.videos]]

    return read


def read_toml(folder):
    from videorep.config import PretrainConfig
    from videorep.config_values import from_dict, read_toml

    return repr(from_dict(PretrainConfig, read_toml(folder / "settings.toml")))


def read_run(folder):
    from videorep.cli.inspect import inspect
    from videorep.runs import load_run

    run = load_run(folder)
    facts = [repr(run.config), run.metrics(), run.last_report(), run.provenance]
    _click(inspect, [str(folder)])
    return json.dumps(facts)


def read_shards(folder):
    """All that reads shards: records, training batches, pictures; what `verify` names is a refusal."""
    import numpy as np

    from videorep.config import DataConfig
    from videorep.data.batches.sources import LabelledBlocks, open_source
    from videorep.data.percepts.frames import read_batches
    from videorep.data.shards.manifest import load_dataset
    from videorep.data.shards.read import read_shards
    from videorep.data.shards.summary import count_classes, summarize_dataset
    from videorep.data.shards.verify import verify_dataset
    from videorep.errors import ShardError
    from videorep.figures.contact_sheet import write_contact_sheet

    problems = verify_thoroughly(verify_dataset, folder)
    dataset = load_dataset(folder)
    summarize_dataset(folder)
    count_classes(folder)
    data, seen = DataConfig(path=str(folder), stride=1), []
    steps = [
        lambda: [(int(r["label"]), r["frames"].numpy()) for r in read_shards(folder, "train")],
        lambda: [(0, next(iter(open_source(data, "train", 2).training(2, 0)))["frames"].numpy())],
        lambda: [(0, next(iter(LabelledBlocks(data, "train", 2, 1).training(2, 0)))["frames"].numpy())],
    ]
    if dataset.kind == "clips":
        counts = [sum(shard.index["frames"]) for shard in dataset.shards("train")]
        steps.append(lambda: [(0, batch) for batch in read_batches(dataset.paths("train"), counts, 4, 14)])
        steps.append(lambda: write_contact_sheet(folder, folder / "sheet.png") or [])
    refusals = []
    for step in steps:
        with refusals_kept(refusals):
            seen += [(label, frames.tobytes()) for label, frames in step() if _finite(np, frames, problems, refusals)]
    if refusals or problems:
        raise refusals[0] if refusals else ShardError(problems[0])
    return samples.digest(seen)


def _finite(np, frames, problems, refusals):
    if not np.isfinite(frames).all() and not problems and not refusals:
        raise WrongResultError("frames that are not finite, which verify takes for sound")
    return True


def read_backbone(name, layer=None, weights="imagenet"):
    def read(folder):
        import numpy as np

        from videorep.data.percepts.backbones import load_backbone

        file = str(folder / name) if name.endswith(".keras") else name
        backbone = load_backbone(file, layer, weights if weights == "imagenet" else str(folder / weights))
        side, channels = min(backbone.size, 64), backbone.channels
        percepts = backbone.extract(np.ones((1, side, side, channels), np.uint8)).numpy()
        return samples.digest([backbone.description["weights_sha256"], percepts.tobytes()])

    return read


def read_model(folder):
    from videorep.runs import load_run

    model = load_run(folder).model()
    return samples.digest([type(model).__name__, [array.tobytes() for array in model.get_weights()]])


def read_embeddings(folder):
    import numpy as np

    from videorep.live.embeddings import read_embeddings

    made = read_embeddings(folder / "e.npz")
    if not np.isfinite(made.values).all() or not len(made.values) == len(made.paths) == len(made.labels):
        raise WrongResultError("rows that are not finite, or not one path and label for each")
    return samples.digest([made.values.tobytes(), made.paths, made.labels, made.run, made.per])


def read_export(folder):
    from videorep.cli.inspect import inspect
    from videorep.cli.verify import verify

    place = folder / "serving" / "1"
    with contextlib.suppress(refusal()):
        _click(inspect, [str(place)])
    return _click(verify, [str(place)]).count("is sound")


def resume_build(folder):
    """Ends the interrupted build: the bytes of all that it leaves."""
    samples.build(folder, resume=True)
    return {path.name: samples.digest(path.read_bytes()) for path in sorted(folder.iterdir()) if path.is_file()}


def restore(folder):
    """Restores the newest checkpoint that can be read; the weights must be those of a step, and not the first ones."""
    states = json.loads((folder / "states.json").read_text())
    loop = samples.build_loop(folder)
    step = loop.restore()
    return states.get(str(step)) == samples.hash_weights(loop.model)


def decode_video(folder):
    """Decodes both videos in workers, which may crash or be stopped by a signal, but not fail with an exception."""
    from videorep.build_config import ClipsConfig
    from videorep.data.videos.encode import encode_in_worker
    from videorep.data.videos.workers import WorkerError, WorkerPool

    if not _pools:
        _pools.append(WorkerPool(1, 8))
    named = {"path": "v", "label_index": None, "label_text": None}
    tasks = [(str(folder / name), ClipsConfig(), None, None, named) for name in samples.VIDEOS]
    results = []
    for result in _pools[0].map(encode_in_worker, tasks):
        if isinstance(result, WorkerError) and "exit status" in str(result):
            raise result
        results.append(str(result) if isinstance(result, WorkerError) else samples.digest(result))
    return results


def close_pools():
    """Ends the workers that decode videos."""
    while _pools:
        _pools.pop().close()


def run_command(folder):
    """Runs the command of arguments.json in the folder; its exit status."""
    from videorep.cli.main import videorep_command

    arguments = json.loads(Path(folder / "arguments.json").read_text())
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        return videorep_command.main(arguments or ["--help"], prog_name="videorep", standalone_mode=False)
