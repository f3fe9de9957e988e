"""What two folders must have in common that were made by the same command: all but moments and measured seconds."""

import functools
import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np

CHECKPOINT_STATE = "checkpoint"
MOMENTS = ("all_model_checkpoint_timestamps", "last_preserved_timestamp")  # in a file `checkpoint`
EVENTS = "events.out.tfevents."
SECONDS = "seconds"  # since training began: a key of metrics.jsonl, a variable of checkpoints


def find_faults(job, out, reference):
    """Sentences that tell where the finished folder `out` is not as the reference.

    Args:
        job: Job whose command made both.
        out, reference: Folders; every version of a SavedModel within `out` must be as the reference's version 1.
    """
    if job.kind != "versions":
        return compare(describe(out), describe(reference))
    faults = find_broken_versions(out, reference)
    for path in sorted(out.iterdir()) if out.is_dir() else []:
        if not path.name.isdecimal():
            faults.append(f"{path.name} was left over")
    return faults if any(out.glob("[0-9]*")) else [*faults, "no version is there"]


def compare(received, expected):
    """Sentences that tell where one folder's description differs from the other's."""
    faults = [f"{name} is missing" for name in sorted(expected.keys() - received.keys())]
    faults += [f"{name} was left over" for name in sorted(received.keys() - expected.keys())]
    return faults + [
        f"{name} differs" for name in sorted(expected.keys() & received.keys()) if expected[name] != received[name]
    ]


def describe(folder):
    """{name: what must be equal} of a folder's files; of events, whose names hold moments, only that they are there."""
    described = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith(EVENTS):
            described[EVENTS] = True
        else:
            described[name] = _reader(path)(path)
    return described


def _reader(path):
    if path.name == "metrics.jsonl":
        return read_metrics
    if path.suffix == ".keras":
        return read_model
    if path.parent.name == "checkpoints":
        if path.name == CHECKPOINT_STATE:
            return read_checkpoint_state
        return read_checkpoint if path.suffix == ".index" else Path.exists
    return digest


def digest(path):
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_metrics(path):
    """The lines as dicts, without the seconds."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != SECONDS} for line in lines]


def read_model(path):
    """Bytes of a model file's parts, without the moment in its metadata."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    metadata = json.loads(parts["metadata.json"])
    return parts | {"metadata.json": {name: value for name, value in metadata.items() if name != "date_saved"}}


def read_checkpoint_state(path):
    """The lines without moments."""
    return [line for line in path.read_text().splitlines() if not line.startswith(MOMENTS)]


def read_checkpoint(path):
    """{variable: SHA-256 of its value} without the seconds."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(path.with_suffix("")))
    names = [name for name in reader.get_variable_to_shape_map() if name.endswith("VARIABLE_VALUE")]
    return {name: hash_value(reader.get_tensor(name)) for name in names if name.split("/")[0] != SECONDS}


def hash_value(value):
    """SHA-256 of an array or a string."""
    return hashlib.sha256(value if isinstance(value, bytes) else np.ascontiguousarray(value)).hexdigest()


def find_broken_versions(out, reference):
    """Sentences about versions (folders named by a number) that a server would not load whole."""
    faults = []
    for folder in sorted(out.glob("[0-9]*")):
        missing = sorted(list_names(reference / "1") - list_names(folder))
        if missing:
            faults.append(f"version {folder.name} lacks {', '.join(missing)}")
        elif not same_answers(folder, reference / "1"):
            faults.append(f"version {folder.name} cannot be loaded or answers otherwise")
    return faults


def list_names(folder):
    """Names of all files within."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def same_answers(folder, reference):
    """Whether a SavedModel answers to its warm-up, which asks every signature, as the reference does, to the bit."""
    import tensorflow as tf

    try:
        received, expected = answer(folder), _answer_of_reference(reference)
    except (OSError, RuntimeError, ValueError, KeyError, tf.errors.OpError):
        return False
    return received.keys() == expected.keys() and all(
        np.array_equal(received[name], expected[name]) for name in expected
    )


@functools.cache
def _answer_of_reference(folder):
    return answer(folder)


def answer(folder):
    """{(number of a record, output): array} of what a server would answer to a SavedModel's warm-up."""
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    from videorep.serving.probe import WARM_UP, Session

    session, answers = Session(folder), {}
    for number, record in enumerate(tf.data.TFRecordDataset(str(folder / WARM_UP))):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        outputs = session.run(request.model_spec.signature_name, inputs)
        answers |= {(number, name): array for name, array in outputs.items()}
    return answers
