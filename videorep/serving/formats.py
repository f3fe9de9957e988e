"""A classifier for machines without TensorFlow: its step, which has no loop, and its convnet, as LiteRT or as ONNX."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from videorep.errors import OutputError, RunError
from videorep.exports import STEP_FACTS
from videorep.locking import alone_in
from videorep.models import build_classifier
from videorep.runs import load_run
from videorep.serving.card import CARD, LABELS, write_card
from videorep.serving.converters import find_format
from videorep.serving.export import require_outside
from videorep.serving.frames import open_perception
from videorep.serving.origins import describe_origin
from videorep.serving.place import Place
from videorep.serving.scores import read_scores
from videorep.serving.signatures import serve
from videorep.writing import written

FRAMES, IMAGES = 100, 2  # that are compared
CLOSE, CLOSE_PERCEPTS = 1e-4, 1e-3
KINDS = {
    "pretrain": "an encoder-decoder, whose frames come out of loops",
    "stream": "a net of single frames or stacks, which has no step",
    "finetune": "a classifier of single frames, which has no step",
}


def export_format(run_path, out, name, *, overwrite=False, backbones=(), check=True, scores=()):
    """Writes the step of a classifier with LSTMs, and the convnet of its percepts, as one frame meets them.

    `out` then holds step.tflite or step.onnx: "frame" (1, D) and "state" (1, S; zeros at first) to "probabilities"
    (1, K) and "next_state" (1, S); backbone.tflite or .onnx, where the percepts are a convnet's on frames: "image"
    (1, H, W, 3) uint8 RGB, scaled and cut, to "percept" (1, D); labels.txt, a class a line; model_card.md; run.json.
    All numbers but those of images are float32, whatever the precision of training.

    Args:
        run_path, overwrite, backbones, scores: As for `videorep.serving.export.export`.
        out: Folder that this makes, whole or not at all.
        name: Of the format, see `videorep.serving.converters.FORMATS`.
        check: Whether the files have to give the model's answers before the folder is there.
    Returns:
        dict: path, files, by how much their answers differ, and what was left out.
    Raises:
        RunError, BackboneError: as for `export`; the run is no classifier with LSTMs.
        OutputError: as for `export`; the format lacks an operation, or what converts to it is not installed.
    """
    chosen, run = find_format(name), load_run(run_path)
    require_outside(out, run)
    place = Place(Path(os.path.abspath(out)), STEP_FACTS, "--out")
    place.require_free(overwrite)
    if run.config.kind != "finetune" or run.config.model.name != "lstm":
        raise RunError(
            f"expected a classifier with LSTMs for --format {name}, received {run.path}, {KINDS[run.config.kind]}; "
            "export it as a SavedModel"
        )
    model, scores = _in_float32(run.model()), read_scores(scores, run)
    perception, reason = open_perception(run, model, backbones)
    served = serve(model, run.config, perception)
    functions = make_functions(served)
    left_out = [f"the convnet: {reason}"] if reason else []
    if check and not chosen.checkable:
        left_out.append(f"the check, which needs {chosen.runtime}: pip install 'videorep[{name}]'")
    what = written(f"{name} into {out}", "export again; nothing was left behind")
    with what, alone_in(place.target.parent), place.prepared(overwrite) as temporary:
        files = {each: temporary / f"{each}{chosen.suffix}" for each in functions}
        for each, function in functions.items():
            files[each].write_bytes(chosen.convert(function, served))
        (temporary / LABELS).write_text("".join(f"{each}\n" for each in model.config.classes), encoding="utf-8")
        loaded = {each: chosen.load(path) for each, path in files.items() if check and chosen.checkable}
        differences = _compare(served, loaded) if loaded else {}
        made = {
            "format": name,
            "checked": bool(loaded),
            "state": served.state_size,
            "differences": differences,
            "clips": perception and perception.clips,
        }
        origin, names = describe_origin(run), [path.name for path in files.values()]
        (temporary / CARD).write_text(write_card(run, origin, {"Files": names}, scores), encoding="utf-8")
        place.finish(temporary, origin | made)
    return {"path": str(place.target), "files": names, "differences": differences, "left_out": left_out}


def _in_float32(model):
    """The classifier itself, or one of its weights that computes in float32: these formats know little else."""
    if model.policy.compute_dtype == "float32":
        return model
    twin = build_classifier(model.config, dtype="float32")
    twin.set_weights(model.get_weights())
    return twin


def make_functions(served):
    """{name of a file: what it is to compute of one frame, a tf.function} of a `ServedClassifier`."""
    frame, state = ((1, served.model.config.features), "frame"), ((1, served.state_size), "state")

    @tf.function(input_signature=[tf.TensorSpec(shape, name=name) for shape, name in (frame, state)])
    def step(frame, state):
        # ONNX knows no output that has the name of an input.
        return dict(zip(("probabilities", "next_state"), served.carry(frame, state), strict=True))

    if not served.perception:
        return {"step": step}
    side = served.perception.side

    @tf.function(input_signature=[tf.TensorSpec((1, side, side, 3), tf.uint8, "image")])
    def backbone(image):
        return {"percept": served.perception.extract(image)}

    return {"step": step, "backbone": backbone}


def _compare(served, loaded):
    """By how much loaded files differ from the model at most: the step from the model on a whole sequence."""
    draw, state = np.random.default_rng(0), np.zeros((1, served.state_size), np.float32)
    frames, received = draw.random((1, FRAMES, served.model.config.features), np.float32), []
    for frame in frames[0]:
        answer = loaded["step"](frame=frame[None], state=state)
        state = answer["next_state"]
        received.append(answer["probabilities"][0])
    expected = served.model({"frames": frames}, training=False).numpy()[0]
    differences = {"step": _require_close("step", np.stack(received), expected, CLOSE)}
    if "backbone" in loaded:
        side = served.perception.side
        images = draw.integers(0, 256, (IMAGES, 1, side, side, 3), np.uint8)
        seen = np.concatenate([loaded["backbone"](image=image)["percept"] for image in images])
        expected = served.perception.extract(tf.constant(images[:, 0])).numpy()
        differences["backbone"] = _require_close("backbone", seen, expected, CLOSE_PERCEPTS)
    return differences


def _require_close(name, received, expected, close):
    """The largest difference; an OutputError where one is too large, of numbers beyond 1 as a part of them."""
    differences = np.abs(received - expected)
    if not np.all(differences <= close * np.maximum(1, np.abs(expected))):
        raise OutputError(
            f"expected the {name} to differ by at most {close:g} from the model, received {differences.max():g}; "
            "nothing was exported: report it (--no-check leaves the comparison out)"
        )
    return float(differences.max())
