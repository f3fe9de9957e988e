"""The parsers of what a stranger may have made: how sound files are made for each, changed, and read.

A reader gets a folder and gives a result that can be compared, or raises. Heavy imports are inside: the process that
draws mutations does without TensorFlow.
"""

import dataclasses
import json
from collections.abc import Callable

from hypothesis import strategies as st

from fuzzing import formats, mutations, readers, samples

NAME = "data-train.tfrecord-00000-of-00001"
MANIFEST = "dataset.json"

WORDS = {
    "pretrain": ("--steps", "--units", "--layers", "--batch-size", "--learning-rate", "--seed", "--input-frames"),
    "finetune": ("--steps", "--units", "--videos-per-class", "--repeats", "--batch-size", "--precision"),
    "train-stream": ("--flow-stack", "--steps", "--dropout", "--stream", "--seed"),
    "build-shards clips": ("--labels", "--split", "--fps", "--size", "--quality", "--sample-seconds", "--workers"),
    "inspect": ("--split",),
    "evaluate": ("--limit", "--horizon", "--split", "--fuse", "--num-digits", "--speed"),
    "export": ("--version",),
}
WORDS["pretrain"] += ("--future-frames", "--patch", "--conditional", "--num-digits", "--precision", "--model")
WORDS["build-shards clips"] += ("--total-hours", "--timeout", "--max-bad-fraction", "--seed")
PLACES = {"pretrain": ("shards", "moving-mnist"), "build-shards clips": ("videos",), "evaluate": ("run shards",)}
PLACES |= {"export": ("run",), "inspect": ("shards", "run")}
DRY = ("pretrain", "finetune", "train-stream", "build-shards clips")
SAYINGS = (
    "0",
    "1",
    "3x4",
    "0x0",
    "8x",
    "x",
    "-1x5",
    "9x9x9",
    "1e3",
    "inf",
    "future,",
    ",",
    "future,reconstruction",
    "1/2",
)


@dataclasses.dataclass(frozen=True)
class Parser:
    """One parser.

    Args:
        make: Writes sound files into a folder.
        read: Reads the folder; the result can be compared with ==.
        files: Which of the files `mutations.damaged` changes.
        craft: From {file: bytes} of the sound files to a strategy of {file: bytes} of changed ones, or None.
        exact: Whether damaged files must be refused or give the sound result, since the format has checksums.
        exact_craft: Whether that holds for crafted ones too.
    """

    make: Callable
    read: Callable
    files: tuple
    craft: Callable | None = None
    exact: bool = False
    exact_craft: bool = False


def alter(file, *strategies):
    """A `craft` that changes one file."""
    return lambda files: st.one_of(*(strategy(files[file]) for strategy in strategies)).map(lambda new: {file: new})


def _regzipped(content):
    import gzip

    return mutations.damaged(gzip.decompress(content)).map(lambda new: gzip.compress(new, 1, mtime=0))


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
        return formats.render_message(mutations.changed(fields, path, lambda parent, key: parent.__setitem__(key, new)))

    def change(path):
        old = mutations.value_at(fields, path)
        return (mutations.damaged(old) | st.sampled_from(samples.vast_images(old))).map(lambda new: replace(path, new))

    return st.sampled_from(images).flatmap(change)


def _is_image(value):
    return isinstance(value, bytes) and value.startswith((b"\xff\xd8", b"\x89PNG"))


def _craft_percepts(files):
    records = formats.split_records(files[NAME])
    fields = formats.parse_message(records[0])
    packed = next(path for path in mutations.places(fields) if _is_gzip(mutations.value_at(fields, path)))

    def bomb():
        bombed = mutations.changed(fields, packed, lambda parent, key: parent.__setitem__(key, formats.gzip_bomb()))
        return _with_records(files, [formats.render_message(bombed), *records[1:]])

    return _rarely(_craft_records()(files), bomb)


def _is_gzip(value):
    return isinstance(value, bytes) and value.startswith(b"\x1f\x8b")


def _craft_toml(files):
    content = files["settings.toml"]
    texts = mutations.reworded(content) | mutations.restructured(samples.SETTINGS).map(samples.to_toml)
    return texts.map(lambda new: {"settings.toml": new})


def _craft_arguments(files):
    """Commands with one to four options of any value."""
    values = st.sampled_from([*SAYINGS, *(str(n) for n in mutations.NUMBERS), *mutations.TEXTS]) | st.text(max_size=9)

    def options(command):
        pairs = st.lists(st.tuples(st.sampled_from(WORDS[command]), values), min_size=1, max_size=4)
        return st.tuples(st.just(command), st.sampled_from(PLACES.get(command, ("shards",))), pairs)

    def write(drawn):
        command, places, pairs = drawn
        words = [*command.split(), *places.split(), *(word for pair in pairs for word in pair)]
        words += ["--out", "out"] if command not in ("inspect", "evaluate") else []
        words += ["--dry-run"] if command in DRY else []
        return {"arguments.json": json.dumps(words).encode()}

    return st.sampled_from(sorted(WORDS)).flatmap(options).map(write)


KERAS_MEMBERS = {".json": mutations.restructured_json}


def _keras(content):
    return mutations.repacked_zip(content, KERAS_MEMBERS)


def _rarely(strategy, bomb):
    """Mostly the strategy, seldom what `bomb` makes, which takes seconds."""
    return st.integers(0, 99).flatmap(lambda number: st.builds(bomb) if number == 7 else strategy)


def _keras_bomb(content):
    return _rarely(_keras(content), lambda: formats.zip_bomb("model.weights.h5", b"\x89HDF\r\n\x1a\n"))


def _of_npz(name, member):
    """What a Parser of an .npz file takes behind its reader."""

    def craft(content):
        header = samples.npy_header(formats.BOMB_BYTES // 784)
        members = {".npy": lambda array: mutations.damaged(array) | mutations.reworded(array)}
        return _rarely(mutations.repacked_zip(content, members), lambda: formats.zip_bomb(member, header))

    return (name,), alter(name, craft), True


def _gzip_bomb(content):
    header = samples.idx_header(formats.BOMB_BYTES // 784)
    return _rarely(_regzipped(content), lambda: formats.gzip_bomb(header))


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
    "digits-idx": Parser(samples.make_idx, readers.read_digits, (IDX,)),
    "digits-gz": Parser(samples.make_idx, readers.read_digits, (GZIP,), alter(GZIP, _gzip_bomb), exact=True),
    "digits-npz": Parser(samples.make_npz, readers.read_digits, *_of_npz("mnist.npz", "x_train.npy")),
    "ucf101-lists": Parser(samples.make_lists, readers.list_by(labels="ucf101", split="lists:1"), UCF, _any(*UCF)),
    "hmdb51-lists": Parser(samples.make_lists, readers.list_by(labels="hmdb51", split="lists:1"), HMDB, _any(*HMDB)),
    "labels-csv": Parser(samples.make_lists, readers.list_by(labels="some.csv"), ("some.csv",), _any("some.csv")),
    "class-names": Parser(
        samples.make_lists, readers.list_by(labels="some.csv", classes="names.txt"), ("names.txt",), _any("names.txt")
    ),
    "toml": Parser(samples.make_toml, readers.read_toml, ("settings.toml",), _craft_toml),
    "run-config": Parser(
        samples.make_run, readers.read_run, ("config.json",), alter("config.json", mutations.restructured_json)
    ),
    "provenance": Parser(
        samples.make_run, readers.read_run, ("provenance.json",), alter("provenance.json", mutations.restructured_json)
    ),
    "metrics": Parser(
        samples.make_run, readers.read_run, ("metrics.jsonl",), alter("metrics.jsonl", mutations.restructured_lines)
    ),
    "dataset-json": Parser(samples.make_percepts, readers.read_shards, (MANIFEST,), _craft_manifest, True, True),
    "dataset-json-clips": Parser(samples.make_clips, readers.read_shards, (MANIFEST,), _craft_manifest, True, True),
    "framing": Parser(samples.make_percepts, readers.read_shards, (NAME,), _craft_framing, exact=True),
    "clip-records": Parser(samples.make_clips, readers.read_shards, (NAME,), _craft_records(), exact=True),
    "percept-records": Parser(samples.make_percepts, readers.read_shards, (NAME,), _craft_records(), exact=True),
    "gzip-percepts": Parser(samples.make_gzip_percepts, readers.read_shards, (NAME,), _craft_percepts, exact=True),
    "images": Parser(samples.make_clips, readers.read_shards, (NAME,), _craft_records(_mutate_image), exact=True),
    "build-plan": Parser(
        samples.make_build,
        readers.resume_build,
        (BUILD + "plan.json",),
        alter(BUILD + "plan.json", mutations.restructured_json),
        exact=True,
    ),
    "build-journal": Parser(
        samples.make_build,
        readers.resume_build,
        (f"{BUILD}{samples.JOURNAL}",),
        alter(f"{BUILD}{samples.JOURNAL}", mutations.restructured_json),
        exact=True,
    ),
    "checkpoint-text": Parser(samples.make_run, readers.restore, (CKPT,), alter(CKPT, mutations.reworded), exact=True),
    "checkpoint-index": Parser(samples.make_run, readers.restore, INDICES, exact=True),
    "checkpoint-data": Parser(samples.make_run, readers.restore, CONTENTS, exact=True),
    "model-keras": Parser(
        samples.make_run, readers.read_model, ("model.keras",), alter("model.keras", _keras_bomb), exact=True
    ),
    "backbone-keras": Parser(
        samples.make_backbone,
        readers.read_backbone("net.keras"),
        ("net.keras",),
        alter("net.keras", _keras),
        exact=True,
    ),
    "backbone-weights": Parser(
        samples.make_backbone,
        readers.read_backbone("tinynet", weights="net.weights.h5", layer="percepts"),
        ("net.weights.h5",),
    ),
    "videos": Parser(samples.make_videos, readers.decode_video, samples.VIDEOS),
    "embeddings": Parser(samples.make_embeddings, readers.read_embeddings, *_of_npz("e.npz", "embeddings.npy")),
    "export": Parser(
        samples.make_export,
        readers.read_export,
        tuple(
            f"serving/1/{name}"
            for name in ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001")
        ),
        alter("serving/1/assets.extra/run.json", mutations.restructured_json),
    ),
    "command-line": Parser(samples.make_arguments, readers.run_command, (), _craft_arguments),
}
