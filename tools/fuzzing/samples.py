"""Sound files of every kind, as small as can be, and the readers that need a setting of their own."""

import contextlib
import functools
import gzip
import hashlib
import io
import json
import shutil
import struct
import tempfile
import zlib
from pathlib import Path

STEPS = (1, 2)
JOURNAL = "toy-train.tfrecord-00000-of-00002.json"
VIDEOS = ("small.mp4", "small.avi")


def digest(value):
    """A short stand-in for a large result."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


def idx_header(count):
    """The first bytes of an idx file of digits."""
    return struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28)


def npy_header(count):
    """The first bytes of an npy file of digits."""
    import numpy as np

    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (count, 28, 28)})
    return file.getvalue()


def _digits():
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)


def make_idx(folder):
    content = idx_header(3) + _digits().tobytes()
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(content, mtime=0))


def make_npz(folder):
    import numpy as np

    np.savez_compressed(folder / "mnist.npz", x_train=_digits(), x_test=_digits()[::-1])


def make_lists(folder):
    lists = folder / "lists"
    lists.mkdir()
    for label in ("run", "wave"):
        (folder / "videos" / label).mkdir(parents=True)
        for number in (1, 2):
            (folder / "videos" / label / f"v_{label}_g0{number}_c01.avi").write_bytes(f"{label} {number}".encode())
        (lists / f"{label}_test_split1.txt").write_text(f"v_{label}_g01_c01.avi 1 \nv_{label}_g02_c01.avi 2 \n")
    (lists / "classInd.txt").write_bytes(b"1 run\r\n2 wave\r\n")
    (lists / "trainlist01.txt").write_bytes(b"run/v_run_g01_c01.avi 1\r\nwave/v_wave_g01_c01.avi 2\r\n")
    (lists / "testlist01.txt").write_bytes(b"run/v_run_g02_c01.avi\r\nwave/v_wave_g02_c01.avi\r\n")
    rows = "run/v_run_g01_c01.avi,0,1.5,run\nwave/v_wave_g01_c01.avi,,,wave\n"
    (folder / "some.csv").write_text("path,start,end,label\n" + rows)
    (folder / "names.txt").write_text("wave\nrun\n")


SETTINGS = {
    "model": {"name": "composite", "units": [3], "input_frames": 2, "conditional": ["future"], "standardise": True},
    "data": {"path": "moving-mnist", "patch": 0, "colour": False},
    "training": {"steps": 3, "learning_rate": 1e-3, "precision": "float32", "seed": 1},
}


def _toml(value):
    """A value in TOML's words; strings and what TOML lacks as JSON has them."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value).lower() if isinstance(value, (bool, float)) else json.dumps(value)


def to_toml(tree):
    lines = tree.items() if isinstance(tree, dict) else [("model", tree)]
    return "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in lines).encode("utf-8", "surrogatepass")


def make_toml(folder):
    tables = (f"[{name}]\n" + to_toml(table).decode() for name, table in SETTINGS.items())
    (folder / "settings.toml").write_text("".join(tables))


def _clips():
    import cv2
    import numpy as np

    from videorep.data.shards.records import Clip

    generator = np.random.default_rng(0)
    for number in range(3):
        pixels = generator.integers(0, 256, (3 + number, 16, 16, 3), dtype=np.uint8)
        images = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in pixels]
        times = [40_000 * frame for frame in range(len(images))]
        label = number % 2
        yield Clip(images, times, 16, 16, 25.0, f"v{number}", label, ("run", "wave")[label])


def _percepts(compression=""):
    import numpy as np

    from videorep.data.shards.records import Percept

    generator = np.random.default_rng(0)
    for number in range(3):
        array = generator.normal(size=(3 + number, 4)).astype(np.float16)
        label = number % 2
        yield Percept(array, f"v{number}", label, ("run", "wave")[label], 25.0, 0.0, compression)


def _write(folder, records):
    from videorep.data.shards.write import write_shards

    write_shards(list(records), folder, labels=["run", "wave"])


def make_clips(folder):
    _write(folder, _clips())


def make_percepts(folder):
    _write(folder, _percepts())


def make_gzip_percepts(folder):
    _write(folder, _percepts("gzip"))


def vast_images(image):
    """The JPEG with other sizes in its header, and PNGs that claim to be vast, one of which is."""
    place = image.index(b"\xff\xc0") + 5
    sizes = ((65500, 65500), (0, 16), (16, 17), (30000, 16), (1, 1))
    jpegs = [image[:place] + struct.pack(">2H", *size) + image[place + 4 :] for size in sizes]
    return [
        *jpegs,
        _png(60_000, 60_000, b""),
        _png(2**31 - 1, 1, b""),
        _png(20_000, 20_000),
        _png(16, 16),
        b"",
        b"\xff\xd8",
    ]


@functools.cache
def _png(height, width, data=None):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + 3 * width)) for _ in range(height)) if data is None else b""
    body = rows + packer.flush()
    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def build(folder, stop_after=None, **options):
    from videorep.data.shards.build import build_dataset
    from videorep.data.shards.plan import Outcome, Recipe, Source, plan_shards

    percepts = list(_percepts())
    sources = [Source(percept.path, "train", percept.label_index) for percept in percepts]
    outcomes = {source: Outcome(source, [percept]) for source, percept in zip(sources, percepts, strict=True)}

    def process(pending):
        for number, source in enumerate(source for task in pending for source in task.sources):
            if number == stop_after:
                raise KeyboardInterrupt
            yield outcomes[source]

    made = {"command": "fuzz", "seed": 0, "settings": {}}
    recipe = Recipe("toy", "percepts", plan_shards(sources, shards=2), ["run", "wave"], made)
    return build_dataset(folder, recipe, process, **options)


def make_build(folder):
    with contextlib.suppress(KeyboardInterrupt):
        build(folder, stop_after=2, resume=True)


def build_loop(folder, callbacks=()):
    from videorep.config import ModelConfig, PretrainConfig, PretrainTrainingConfig
    from videorep.models import build_model
    from videorep.runs import create_run
    from videorep.training.loop import TrainingLoop
    from videorep.training.objectives import encoder_decoder_objective

    training = PretrainTrainingConfig(steps=STEPS[-1], batch_size=2, report_every=1, checkpoint_every=1)
    config = PretrainConfig(ModelConfig("composite", 4, (3,), 2, 2, output="gaussian"), training=training)
    run = create_run(folder, config, resume=True)
    model = build_model("composite", 4, (3,), 2, 2, output="gaussian", seed=1)
    return TrainingLoop(model, encoder_decoder_objective(model), training, run, callbacks=callbacks)


def hash_weights(model):
    return digest([array.tobytes() for array in model.get_weights()])


def make_run(folder):
    """A finished run with two checkpoints; states.json tells the weights at each."""
    for file, content in _trained_run().items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)


@functools.cache
def _trained_run():
    """{file: bytes} of a run, trained once."""
    import keras
    import numpy as np
    import tensorflow as tf

    states = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        note = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda step, logs: states.update({step: hash_weights(loop.model)})
        )
        loop = build_loop(folder, (note,))
        frames = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)
        loop.fit(tf.data.Dataset.from_tensors({"frames": frames}).repeat())
        loop.run.write_provenance({"versions": {"videorep": "0"}, "data": {"shards": {"a": "b"}}})
        loop.run.save_model(loop.model)
        (folder / "states.json").write_text(json.dumps(states))
        shutil.rmtree(folder / "events")
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tinynet(weights=None, include_top=True, input_shape=None):
    """Stands in for a network of keras.applications."""
    import keras

    images = keras.Input(input_shape or (8, 8, 3))
    hidden = keras.layers.Conv2D(2, 3, name="convolution")(images)
    hidden = keras.layers.Flatten(name="flat")(hidden)
    hidden = keras.layers.Dense(3, name="percepts")(hidden)
    return keras.Model(images, keras.layers.Dense(2, name="head")(hidden) if include_top else hidden)


def preprocess_input(images):
    """What goes with `tinynet`, as in the modules of keras.applications."""
    return images


def make_backbone(folder):
    import keras

    keras.utils.set_random_seed(0)
    net = tinynet()
    net.save(folder / "net.keras")
    net.save_weights(folder / "net.weights.h5")


def make_videos(folder):
    import cv2
    import numpy as np

    for name, code in zip(VIDEOS, ("mp4v", "MJPG"), strict=True):
        writer = cv2.VideoWriter(str(folder / name), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*code), 25.0, (48, 32))
        for number in range(12):
            writer.write(np.roll(np.arange(48 * 32 * 3, dtype=np.uint8).reshape(32, 48, 3), 3 * number, axis=1))
        writer.release()


def make_embeddings(folder):
    import numpy as np

    from videorep.live.embeddings import Embeddings, write_embeddings

    values, paths = np.arange(12, dtype=np.float32).reshape(3, 4), ["a.mp4", "ü.avi", "c"]
    write_embeddings(folder / "e.npz", Embeddings(values, paths, ["run", "", "wave"], "0123", "video"))


def make_export(folder):
    from videorep.serving.export import export

    make_run(folder / "run")
    export(folder / "run", folder / "serving", 1, check=False)


def make_arguments(folder):
    make_percepts(folder / "shards")
    make_run(folder / "run")
    make_lists(folder)
    (folder / "arguments.json").write_text("[]")
