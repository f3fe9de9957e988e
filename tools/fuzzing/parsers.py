"""The parsers of what a stranger may have made: how sound files are made for each, changed, and read.

A reader gets a folder and gives a result that can be compared, or raises. Heavy imports are inside: the process that
draws mutations does without TensorFlow.
"""

import contextlib
import dataclasses
import io
import json
from collections.abc import Callable

from fuzzing import formats, mutations, samples
from hypothesis import strategies as st

NAME = "data-train.tfrecord-00000-of-00001"
MANIFEST = "dataset.json"


class Wrong(Exception):
    """A reader gave a result that a property of the format rules out."""


@dataclasses.dataclass(frozen=True)
class Parser:
    """One parser.

    Args:
        make: Writes sound files into a folder.
        read: Reads the folder; the result can be compared with ==.
        files: Which of the files `mutations.damaged` changes.
        craft: From {file: bytes} of the sound files to a strategy of {file: bytes} of changed ones, or None.
        exact: Whether damaged files must be refused or give the sound result, since the format has checksums.
    """

    make: Callable
    read: Callable
    files: tuple
    craft: Callable | None = None
    exact: bool = False


def alter(file, *strategies):
    """A `craft` that changes one file."""
    return lambda files: st.one_of(*(strategy(files[file]) for strategy in strategies)).map(lambda new: {file: new})


def _read_digits(folder):
    from videorep.data.digits import load_digits

    source = folder / "mnist.npz" if (folder / "mnist.npz").exists() else folder
    return [load_digits(source, split).tobytes() for split in ("train", "test")]


def _bombs(file, *contents):
    return lambda content: st.sampled_from([content, *(make() for make in contents)])


def _regzipped(content):
    import gzip

    return mutations.damaged(gzip.decompress(content)).map(lambda new: gzip.compress(new, 1, mtime=0))


def _list_videos(**options):
    def read(folder):
        from videorep.data.labels import list_videos

        named = {key: str(folder / value) for key, value in options.items() if key != "labels"}
        labels = options["labels"] if "csv" not in options["labels"] else str(folder / options["labels"])
        listing = list_videos(folder / "videos", labels=labels, **named)
        return [listing.labels, [(video.file.name, video.label, video.split) for video in listing.videos]]

    return read


def _read_toml(folder):
    from videorep.config import PretrainConfig, from_dict, read_toml

    return repr(from_dict(PretrainConfig, read_toml(folder / "settings.toml")))


def _read_run(folder):
    from videorep.cli.inspect import inspect
    from videorep.runs import load_run

    run = load_run(folder)
    facts = [repr(run.config), run.metrics(), run.last_report(), run.provenance]
    _click(inspect, [str(folder)])
    return json.dumps(facts)


def _click(command, arguments):
    """What a command prints; a click.UsageError and the like pass through."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        command.main(arguments, prog_name="videorep", standalone_mode=False)
    return printed.getvalue()


def _read_shards(folder):
    """All that reads shards: records, training batches, pictures; every problem that `verify` names comes first."""
    import numpy as np

    from videorep.config import DataConfig
    from videorep.data.dataset import load_dataset
    from videorep.data.frames import read_batches
    from videorep.data.pipeline import labelled_blocks, open_source
    from videorep.data.shards import read_shards
    from videorep.data.summary import count_classes, summarize_dataset, write_contact_sheet
    from videorep.data.verify import verify_dataset

    problems = samples.verify_thoroughly(verify_dataset, folder)
    dataset = load_dataset(folder)
    summarize_dataset(folder)
    count_classes(folder)
    data, seen = DataConfig(path=str(folder), stride=1), []
    steps = [
        lambda: [(int(r["label"]), r["frames"].numpy()) for r in read_shards(folder, "train")],
        lambda: [(0, next(iter(open_source(data, "train", 2).training(2, 0)))["frames"].numpy())],
        lambda: [(0, next(iter(labelled_blocks(data, "train", 2, 1).training(2, 0)))["frames"].numpy())],
    ]
    if dataset.kind == "clips":
        counts = [sum(shard.index["frames"]) for shard in dataset.shards("train")]
        steps.append(lambda: [(0, batch.numpy()) for batch in read_batches(dataset.paths("train"), counts, 4, 14)])
        steps.append(lambda: write_contact_sheet(folder, folder / "sheet.png") or [])
    refusals = []
    for step in steps:
        with samples.refusals_kept(refusals):
            seen += [(label, frames.tobytes()) for label, frames in step() if _finite(np, frames, problems, refusals)]
    if refusals:
        raise refusals[0]
    return samples.digest([problems, seen])


def _finite(np, frames, problems, refusals):
    if not np.isfinite(frames).all() and not problems and not refusals:
        raise Wrong("frames that are not finite, which verify takes for sound")
    return True


def _craft_manifest(files):
    plain = json.loads(files[MANIFEST])
    return mutations.restructured(plain).map(
        lambda tree: {MANIFEST: formats.sign(tree) if isinstance(tree, dict) else json.dumps(tree).encode()}
    )


def _with_records(files, records):
    content = b"".join(map(formats.frame_record, records))
    return {NAME: content, MANIFEST: formats.describe_shard(json.loads(files[MANIFEST]), NAME, content, records)}


def _craft_records(mutate=mutations.restructured_message):
    """Changed records under framing, hashes and an index that fit them."""

    def craft(files):
        records = formats.split_records(files[NAME])
        return st.integers(0, len(records) - 1).flatmap(
            lambda number: mutate(records[number]).map(
                lambda new: _with_records(files, [*records[:number], new, *records[number + 1 :]])
            )
        )

    return craft


def _craft_framing(files):
    """Framing whose CRCs hold and whose lengths are anything, in files that have the hashes of dataset.json."""
    records, plain = formats.split_records(files[NAME]), json.loads(files[MANIFEST])
    lengths = st.sampled_from([0, 1, 2**31, 2**32 - 17, 2**60, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)

    def frame(number, length, signed):
        framed = [formats.frame_record(data, length if i == number else None) for i, data in enumerate(records)]
        content = b"".join(framed)
        return {NAME: content} | ({MANIFEST: formats.describe_shard(plain, NAME, content)} if signed else {})

    framings = st.builds(frame, st.integers(0, len(records) - 1), lengths, st.booleans())
    signed = mutations.damaged(files[NAME]).map(
        lambda new: {NAME: new, MANIFEST: formats.describe_shard(plain, NAME, new)}
    )
    return framings | signed


def _mutate_image(record):
    """A clip's record with one of its images damaged, or replaced by one that claims to be vast."""
    fields = formats.parse_message(record)
    images = [path for path in mutations.places(fields) if _is_image(mutations.value_at(fields, path))]

    def replace(path, new):
        return formats.render_message(
            mutations.changed(fields, path, lambda parent, key: parent.__setitem__(key, new))
        )

    def change(path):
        old = mutations.value_at(fields, path)
        return (mutations.damaged(old) | st.sampled_from(samples.vast_images(old))).map(lambda new: replace(path, new))

    return st.sampled_from(images).flatmap(change)


def _is_image(value):
    return isinstance(value, bytes) and value.startswith((b"\xff\xd8", b"\x89PNG"))


def _craft_percepts(files):
    bomb = formats.parse_message(formats.split_records(files[NAME])[0])
    arrays = [p for p in mutations.places(bomb) if isinstance(v := mutations.value_at(bomb, p), bytes) and v[:1] == b"\x1f"]
    bombed = mutations.changed(bomb, arrays[0], lambda parent, key: parent.__setitem__(key, formats.gzip_bomb()))
    records = [formats.render_message(bombed), *formats.split_records(files[NAME])[1:]]
    rare = st.integers(0, 50).flatmap(lambda n: st.just(None) if n == 7 else _craft_records()(files))
    return rare.map(lambda case: _with_records(files, records) if case is None else case)


def _read_backbone(name, layer=None, weights="imagenet"):
    def read(folder):
        import numpy as np

        from videorep.data.backbones import load_backbone

        file = str(folder / name) if name.endswith(".keras") else name
        backbone = load_backbone(file, layer, weights if weights == "imagenet" else str(folder / weights))
        side, channels = min(backbone.size, 64), backbone.channels
        percepts = backbone.extract(np.ones((1, side, side, channels), np.uint8)).numpy()
        return samples.digest([backbone.description["weights_sha256"], percepts.tobytes()])

    return read


def _read_model(folder):
    from videorep.runs import load_run

    model = load_run(folder).model()
    return samples.digest([type(model).__name__, [array.tobytes() for array in model.get_weights()]])


def _read_export(folder):
    from videorep.cli.inspect import inspect
    from videorep.cli.verify import verify

    place = folder / "1"
    with contextlib.suppress(samples.refusal()):
        _click(inspect, [str(place)])
    return _click(verify, [str(place)]).count("is sound")


KERAS_MEMBERS = {".json": mutations.restructured_json}


def _keras(content):
    return mutations.repacked_zip(content, KERAS_MEMBERS)


def _keras_bomb(content):
    bomb = formats.zip_bomb("model.weights.h5", b"\x89HDF\r\n\x1a\n")
    return st.integers(0, 99).flatmap(lambda n: st.just(bomb) if n == 7 else _keras(content))


def _npz_bomb(content):
    bomb = formats.zip_bomb("x_train.npy", samples.npy_header(formats.BOMB_BYTES // 784))
    return st.integers(0, 99).flatmap(lambda n: st.just(bomb) if n == 7 else mutations.repacked_zip(content, {}))


def _gzip_bomb(content):
    bomb = formats.gzip_bomb(samples.idx_header(formats.BOMB_BYTES // 784))
    return st.integers(0, 99).flatmap(lambda n: st.just(bomb) if n == 7 else _regzipped(content))


def _any(*files):
    """A `craft` that changes any of several texts."""
    return lambda found: st.one_of(*(mutations.reworded(found[f]).map(lambda new, f=f: {f: new}) for f in files))


UCF = ("lists/classInd.txt", "lists/trainlist01.txt", "lists/testlist01.txt")
HMDB = ("lists/run_test_split1.txt", "lists/wave_test_split1.txt")
IDX, GZIP = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz"
CKPT = "checkpoints/checkpoint"
INDICES = tuple(f"checkpoints/ckpt-{step}.index" for step in samples.STEPS)
CONTENTS = tuple(f"checkpoints/ckpt-{step}.data-00000-of-00001" for step in samples.STEPS)
BUILD = ".build/"

PARSERS = {
    "digits-idx": Parser(samples.make_idx, _read_digits, (IDX,)),
    "digits-gz": Parser(samples.make_idx, _read_digits, (GZIP,), alter(GZIP, _gzip_bomb), exact=True),
    "digits-npz": Parser(samples.make_npz, _read_digits, ("mnist.npz",), alter("mnist.npz", _npz_bomb), exact=True),
    "ucf101-lists": Parser(samples.make_lists, _list_videos(labels="ucf101", split="lists:1"), UCF, _any(*UCF)),
    "hmdb51-lists": Parser(samples.make_lists, _list_videos(labels="hmdb51", split="lists:1"), HMDB, _any(*HMDB)),
    "labels-csv": Parser(samples.make_lists, _list_videos(labels="some.csv"), ("some.csv",), _any("some.csv")),
    "class-names": Parser(
        samples.make_lists, _list_videos(labels="some.csv", classes="names.txt"), ("names.txt",), _any("names.txt")
    ),
    "toml": Parser(samples.make_toml, _read_toml, ("settings.toml",), samples.craft_toml),
    "run-config": Parser(
        samples.make_run, _read_run, ("config.json",), alter("config.json", mutations.restructured_json)
    ),
    "provenance": Parser(
        samples.make_run, _read_run, ("provenance.json",), alter("provenance.json", mutations.restructured_json)
    ),
    "metrics": Parser(
        samples.make_run, _read_run, ("metrics.jsonl",), alter("metrics.jsonl", mutations.restructured_lines)
    ),
    "dataset-json": Parser(samples.make_percepts, _read_shards, (MANIFEST,), _craft_manifest, exact=True),
    "dataset-json-clips": Parser(samples.make_clips, _read_shards, (MANIFEST,), _craft_manifest, exact=True),
    "framing": Parser(samples.make_percepts, _read_shards, (NAME,), _craft_framing, exact=True),
    "clip-records": Parser(samples.make_clips, _read_shards, (NAME,), _craft_records(), exact=True),
    "percept-records": Parser(samples.make_percepts, _read_shards, (NAME,), _craft_records(), exact=True),
    "gzip-percepts": Parser(samples.make_gzip_percepts, _read_shards, (NAME,), _craft_percepts, exact=True),
    "images": Parser(samples.make_clips, _read_shards, (NAME,), _craft_records(_mutate_image), exact=True),
    "build-plan": Parser(
        samples.make_build,
        samples.resume_build,
        (BUILD + "plan.json",),
        alter(BUILD + "plan.json", mutations.restructured_json),
        exact=True,
    ),
    "build-journal": Parser(
        samples.make_build,
        samples.resume_build,
        (f"{BUILD}{samples.JOURNAL}",),
        alter(f"{BUILD}{samples.JOURNAL}", mutations.restructured_json),
        exact=True,
    ),
    "checkpoint-text": Parser(samples.make_run, samples.restore, (CKPT,), alter(CKPT, mutations.reworded), exact=True),
    "checkpoint-index": Parser(samples.make_run, samples.restore, INDICES, exact=True),
    "checkpoint-data": Parser(samples.make_run, samples.restore, CONTENTS, exact=True),
    "model-keras": Parser(
        samples.make_run, _read_model, ("model.keras",), alter("model.keras", _keras_bomb), exact=True
    ),
    "backbone-keras": Parser(
        samples.make_backbone, _read_backbone("net.keras"), ("net.keras",), alter("net.keras", _keras), exact=True
    ),
    "backbone-weights": Parser(
        samples.make_backbone, _read_backbone("tinynet", weights="net.weights.h5", layer="percepts"), ("net.weights.h5",)
    ),
    "videos": Parser(samples.make_videos, samples.decode_video, samples.VIDEOS),
    "export": Parser(
        samples.make_export,
        _read_export,
        ("1/saved_model.pb", "1/variables/variables.index", "1/variables/variables.data-00000-of-00001"),
        alter("1/assets.extra/run.json", mutations.restructured_json),
    ),
    "command-line": Parser(samples.make_arguments, samples.run_command, (), samples.craft_arguments),
}
