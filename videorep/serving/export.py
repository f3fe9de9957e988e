"""A run as a SavedModel that TensorFlow alone can load."""

import contextlib
import ctypes
import errno
import json
import os
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf

from videorep.data.batches.sources import inputs_of
from videorep.data.shards.hashes import hash_file
from videorep.errors import OutputError, RunError
from videorep.exports import FACTS, read_facts
from videorep.locking import alone_in
from videorep.runs import MODEL, load_run
from videorep.serving.card import CARD, LABELS, write_card
from videorep.serving.check import check_export
from videorep.serving.frames import open_perception
from videorep.serving.requests import make_requests
from videorep.serving.signatures import DEFAULT, serve
from videorep.serving.warmup import NOT_WRITTEN, write_warm_up
from videorep.storage import TEMPORARY, require_apart, require_local, sync
from videorep.writing import written

EXCHANGE, HERE = 2, -100  # RENAME_EXCHANGE and AT_FDCWD of Linux


def export(run_path, out, version=None, *, overwrite=False, backbones=(), check=True):
    """Writes `out/VERSION/saved_model.pb`, as TensorFlow Serving expects it, with the signatures of docs/serving.md.

    The signature `serving_default` takes "frames", (B, T, D) float32 in the units that the run was trained on (percepts
    as they are, pixels in [0, 1]); a classifier accepts any T and gives "probabilities" (B, K), "index" (B,) and
    "label" (B,); an encoder-decoder gives its "reconstruction" and/or "future". A run of train-stream takes "stacks",
    (B, 224, 224, 2L) of flow or (B, 224, 224, 3) RGB in 0..255, and answers as a classifier.

    A version is there whole or not at all, whenever this is killed; what a killed export left goes with the next one.

    Args:
        run_path: Folder of a finished run.
        out: Base folder of the model's versions.
        version: Positive int; by default one more than the newest there.
        overwrite: Whether to replace that version.
        backbones: Files of the convnet of the run's percepts, where it has moved; compared by hash.
        check: Whether another process has to give the model's answers before the version is there, and those of the
            warm-up, which is written only then.
    Returns:
        dict: path, version, inputs, outputs, signatures and what was left out.
    Raises:
        RunError: the run is not finished, or its model cannot be used.
        BackboneError: no convnet among `backbones` has the weights of the run's percepts.
        OutputError: the version exists, cannot be written, would lie at a URL, answers otherwise than the model, or
            another process exports there.
    """
    run = load_run(run_path)
    require_local(out, OutputError)
    out = Path(out)
    _require_new(out, version, overwrite)
    inputs = {f"the {name} of RUN": path for name, path in inputs_of(run.config).items() if Path(path).exists()}
    require_apart(out, {"RUN": run.path} | inputs)
    model = run.model()
    perception, reason = open_perception(run, model, backbones)
    served = serve(model, run.config, perception)
    signatures = served.concrete_signatures()
    requests = make_requests(served, signatures) if check else []
    facts = describe(run, served, signatures)
    left_out = [f"signatures of encoded frames: {reason}"] if reason else []
    what = written(f"a SavedModel into {out}", "export again; nothing was left behind")
    with what, alone_in(out), _prepared(out, version, overwrite) as (temporary, target):
        _save(served, signatures, run, facts, temporary)
        if check:
            left_out += [] if write_warm_up(temporary, requests) else [NOT_WRITTEN]
            check_export(temporary, requests)
        _write_facts(facts, temporary)
        _put_in_place(temporary, target)
        sync(out)
    shape = ", ".join(str(size or name) for size, name in zip(served.input.shape, "BTHW", strict=False))
    return {
        "path": str(target),
        "version": int(target.name),
        "input": f"{served.input.name} ({shape}) float32: {facts['input']['kind']}",
        "outputs": facts["signatures"][DEFAULT]["outputs"],
        "signatures": list(signatures),
        "left_out": left_out,
    }


def describe(run, served, signatures):
    """What assets.extra/run.json says of a run: where the model comes from and what it takes.

    Returns:
        dict for JSON: "run" (its folder), "kind" (of the run), "model_sha256" (of its model.keras), "provenance" (all
        that the run recorded), "signatures" ("inputs" and "outputs" of each, by name) and "input": "name", "shape" and
        "dtype" of the argument of serving_default; "kind", one of "percepts" (then with their "backbone", as
        dataset.json's settings name it), "pixels", "patches" (of frames; both in [0, 1], with their "frame_shape",
        (H, W, C)), "flow" and "rgb" (of a train-stream run, with "flow_stack", fields per stack).
    """
    provenance, config = run.provenance, run.config
    data = provenance.get("data")
    data = data if isinstance(data, dict) else {}
    if config.kind == "stream":
        kind, more = config.model.stream, {}
        if kind == "flow":
            more = {"flow_stack": config.model.flow_stack}
    elif data.get("frame_shape"):
        kind, more = "patches" if config.data.patch else "pixels", {"frame_shape": data["frame_shape"]}
    else:
        kind, more = "percepts", {"backbone": data.get("backbone") or {}}
    argument = {"name": served.input.name, "shape": served.input.shape.as_list(), "dtype": served.input.dtype.name}
    listed = {
        name: {"inputs": [spec.name for spec in specs], "outputs": list(signatures[name].structured_outputs)}
        for name, (_, *specs) in served.listed().items()
    }
    return {
        "run": str(run.path),
        "kind": config.kind,
        "model_sha256": hash_file(run.path / MODEL),
        "input": argument | {"kind": kind} | more,
        "signatures": listed,
        "provenance": provenance,
    }


@contextlib.contextmanager
def _prepared(out, version, overwrite):
    """The folder to write a version in, and the one that it becomes: what is in the former at the end is removed."""
    for rest in out.glob(f"{TEMPORARY}*"):  # of exports that were killed: nobody else writes here now
        _remove(rest)
    target = out / str(version or _newest(out) + 1)
    _require_new(out, version, overwrite)
    temporary = out / f"{TEMPORARY}{target.name}"  # no number: no server loads it
    try:
        yield temporary, target
    finally:
        _remove(temporary)  # what was not finished, or the version that was replaced


def _save(served, signatures, run, facts, folder):
    """Writes the SavedModel, with the names of the classes and the model card as its assets."""
    texts = {CARD: write_card(run, facts)}
    if classes := getattr(run.config.model, "classes", ()):
        texts[LABELS] = "".join(f"{each}\n" for each in classes)
    with tempfile.TemporaryDirectory() as place:
        for name, text in texts.items():
            (Path(place) / name).write_text(text, encoding="utf-8")
        served.assets = [tf.saved_model.Asset(os.path.join(place, name)) for name in texts]
        tf.saved_model.save(served, str(folder), signatures=signatures)


def _write_facts(facts, folder):
    """Writes what a version says of itself, and brings all of it to the disk."""
    (folder / FACTS).parent.mkdir(exist_ok=True)
    (folder / FACTS).write_text(json.dumps(facts | {"files": _hash_files(folder)}, indent=2) + "\n")
    _flush(folder)


def _hash_files(folder):
    """SHA-256 of every file in a folder, by its path within: what `videorep verify` compares an export with."""
    return {
        path.relative_to(folder).as_posix(): hash_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _remove(path):
    """Removes a folder, or the link in place of one."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _newest(out):
    present = [int(path.name) for path in out.iterdir() if path.name.isdecimal()] if out.is_dir() else []
    return max(present, default=0)


def _require_new(out, version, overwrite):
    nearest = next(parent for parent in (out, *out.parents) if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise OutputError(f"expected a folder that can be written, received {out}; choose another --out")
    if version is not None and (out / str(version)).exists() and not overwrite:
        raise OutputError(
            f"expected a new version, received {out / str(version)}, which exists; add --overwrite or choose another "
            "--version"
        )
    if version is not None and (out / str(version)).exists():
        _require_own(out / str(version))


def _require_own(version):
    """Raises an OutputError where a version to be replaced holds what no export put there."""
    try:
        made = set(read_facts(version)["files"]) | {FACTS.as_posix()}
    except (RunError, LookupError, TypeError):
        made = set()
    there = [path.relative_to(version).as_posix() for path in sorted(version.rglob("*")) if not path.is_dir()]
    others = [name for name in there if name not in made]
    if others or not made:
        what = f"{others[0]}, which no export put there" if made else f"a folder without a readable {FACTS}"
        raise OutputError(
            f"expected an export in {version}, to be replaced, received {what}; move it away, or choose another "
            "--version"
        )


def _put_in_place(temporary, target):
    """Gives a folder its name; one that bears it already gets the temporary name, both in one step."""
    if not target.exists():
        temporary.rename(target)
        return
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(temporary), os.fsencode(target)
    if not library.renameat2(HERE, names[0], HERE, names[1], EXCHANGE):
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number), str(target))
    # A file system that cannot exchange names: for a moment there is no such version, but never a part of one.
    old = temporary.with_name(f"{temporary.name}-replaced")
    target.rename(old)
    temporary.rename(target)
    shutil.rmtree(old)


def _flush(folder):
    """Brings all files of a folder to the disk, so that a power cut does not leave a version of empty files."""
    for parent, _, files in os.walk(folder):
        for path in (*(os.path.join(parent, name) for name in files), parent):
            sync(path)
