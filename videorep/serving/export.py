"""A run as a SavedModel that TensorFlow alone can load."""

import contextlib
import os
import tempfile
from pathlib import Path

import tensorflow as tf

from videorep.data.batches.sources import inputs_of
from videorep.errors import OutputError
from videorep.exports import FACTS, find_versions
from videorep.locking import alone_in
from videorep.progress import SilentProgress
from videorep.runs import load_run
from videorep.serving.card import CARD, LABELS, write_card
from videorep.serving.check import check_export
from videorep.serving.frames import open_perception
from videorep.serving.origins import describe_input, describe_origin
from videorep.serving.place import Place, remove
from videorep.serving.requests import make_requests
from videorep.serving.scores import read_scores
from videorep.serving.signatures import DEFAULT, serve
from videorep.serving.warmup import NOT_WRITTEN, write_warm_up
from videorep.storage import TEMPORARY, require_apart, require_local
from videorep.writing import written


def export(run_path, out, version=None, *, overwrite=False, backbones=(), check=True, scores=(), progress=None):
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
        scores: Files that `videorep evaluate --json` wrote of the run, for the model card.
        progress: A reporter of `videorep.progress`, or None for silence.
    Returns:
        dict: path, version, inputs, outputs, signatures and what was left out.
    Raises:
        RunError: the run is not finished, its model cannot be used, or `scores` are no scores of it.
        BackboneError: no convnet among `backbones` has the weights of the run's percepts.
        OutputError: the version exists, cannot be written, would lie at a URL or in another export, answers otherwise
            than the model, or another process exports there.
    """
    run = load_run(run_path)
    require_outside(out, run)
    out = Path(out)
    if find_versions(out) == [out]:
        raise OutputError(
            f"expected a folder for numbered versions, received {out}, which is an export itself; choose another --out"
        )
    _place(out, version).require_free(overwrite)
    progress, model = progress or SilentProgress(), run.model()
    scores = read_scores(scores, run)
    perception, reason = open_perception(run, model, backbones)
    served = serve(model, run.config, perception)
    signatures = served.concrete_signatures()
    requests = make_requests(served, signatures, progress) if check else []
    facts = describe(run, served, signatures) | {"checked": check}
    left_out = [f"signatures of encoded frames: {reason}"] if reason else []
    what = written(f"a SavedModel into {out}", "export again; nothing was left behind")
    with what, alone_in(out):
        for rest in out.glob(f"{TEMPORARY}*"):  # of exports that were killed: nobody else writes here now
            remove(rest)
        place = _place(out, version)
        with place.prepared(overwrite) as temporary:
            with _stage(progress, "Writing the SavedModel", len(signatures), "signatures"):
                _save(served, signatures, _texts(run, facts, scores), temporary)
            if check:
                left_out += [] if write_warm_up(temporary, requests) else [NOT_WRITTEN]
                with _stage(progress, "Checking in another process", len(requests), "answers"):
                    check_export(temporary, requests)
            place.finish(temporary, facts)
    shape = ", ".join(str(size or name) for size, name in zip(served.input.shape, "BTHW", strict=False))
    return {
        "path": str(place.target),
        "version": int(place.target.name),
        "input": f"{served.input.name} ({shape}) float32: {facts['input']['kind']}",
        "outputs": facts["signatures"][DEFAULT]["outputs"],
        "signatures": list(signatures),
        "left_out": left_out,
    }


@contextlib.contextmanager
def _stage(progress, title, total, unit):
    """A task that is done at once, when it is done."""
    with progress.task(title, total, unit) as advance:
        yield
        advance(total)


def describe(run, served, signatures):
    """What assets.extra/run.json says of a run: where the model comes from and what it takes.

    Returns:
        dict for JSON: what `describe_origin` gives, "signatures" ("inputs" and "outputs" of each, by name) and "input":
        "name", "shape" and "dtype" of the argument of serving_default, and what `describe_input` gives.
    """
    argument = {"name": served.input.name, "shape": served.input.shape.as_list(), "dtype": served.input.dtype.name}
    listed = {
        name: {"inputs": [spec.name for spec in specs], "outputs": list(signatures[name].structured_outputs)}
        for name, (_, *specs) in served.listed().items()
    }
    return describe_origin(run) | {"input": argument | describe_input(run), "signatures": listed}


def _texts(run, facts, scores):
    """{file: text} of the names of the classes and the model card."""
    texts = {CARD: write_card(run, facts, {"Signatures": facts["signatures"]}, scores)}
    if classes := getattr(run.config.model, "classes", ()):
        texts[LABELS] = "".join(f"{each}\n" for each in classes)
    return texts


def _save(served, signatures, texts, folder):
    """Writes the SavedModel, with `texts` as its assets."""
    with tempfile.TemporaryDirectory() as place:
        for name, text in texts.items():
            (Path(place) / name).write_text(text, encoding="utf-8")
        served.assets = [tf.saved_model.Asset(os.path.join(place, name)) for name in texts]
        tf.saved_model.save(served, str(folder), signatures=signatures)


def require_outside(out, run):
    """Raises an OutputError for an `out` at a URL, or in or above the run or what it was made from."""
    require_local(out, OutputError)
    inputs = {f"the {name} of RUN": path for name, path in inputs_of(run.config).items() if Path(path).exists()}
    require_apart(Path(out), {"RUN": run.path} | inputs)


def _place(out, version):
    """The `Place` of a version, or of the one after the newest."""
    there = [int(path.name) for path in out.iterdir() if path.name.isdecimal()] if out.is_dir() else []
    return Place(out / str(version or max(there, default=0) + 1), FACTS, "--version")
