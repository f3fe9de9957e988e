"""Where convnets come from, each cut at a layer: `.keras` files, runs of train-stream, keras.applications."""

import difflib
import inspect
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from videorep.errors import BackboneError, LayerError
from videorep.models.files import UNREADABLE, UnboundedError, load_keras, require_bounded, require_bounded_arrays
from videorep.runs import CONFIG, MODEL, load_run

PAPER_LAYER = "fc1"  # Keras' name of VGG's fc6
STREAM_LAYER = "fc6"  # of a run of train-stream
SHOWN_LAYERS = 8
# They give back what they receive, or images still: no percepts.
PLAIN_LAYERS = (
    keras.layers.InputLayer,
    keras.layers.Dropout,
    keras.layers.Rescaling,
    keras.layers.Normalization,
    keras.layers.ZeroPadding2D,
)


def load_file(path, layers, weights):
    """The model of a `.keras` file or of a run of train-stream, cut at some layers; uncut where there are none."""
    import videorep.models.temporal_stream  # noqa: F401 (registers the layer that a run's file names)

    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        raise BackboneError(
            f"expected a .keras file or a finished run of train-stream, received {path}: found no such file as {file}; "
            "check --backbone"
        )
    _require_stream(path)
    if weights not in (None, "imagenet"):
        raise BackboneError(
            f"expected no --weights beside {file}, which brings its own, received {weights}; leave it out"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras' words for what the file's layers lack or leave
            model = load_keras(file)
        shapes = [tuple(tensor.shape) for tensor in model.inputs]
    except (*UNREADABLE, tf.errors.OpError) as error:
        loaded = f"a file that Keras cannot load ({type(error).__name__})"
        flaw = error if isinstance(error, UnboundedError) else loaded
        raise BackboneError(
            f"expected a Keras model in {file}, received {flaw}; check --backbone, or save the model anew with "
            "model.save(...), without Lambda layers and layers of one's own"
        ) from error
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] is None:
        raise BackboneError(
            f"expected {file} to have one input, images (B, H, W, C), received {shapes}; use another model"
        )
    return _cut(model, layers or [STREAM_LAYER] * path.is_dir(), path)


def _require_stream(path):
    """Raises a BackboneError for a run of another kind, whose model takes no images."""
    if (path / CONFIG).is_file() and (kind := load_run(path).config.kind) != "stream":
        raise BackboneError(
            f"expected --backbone to be a run of train-stream, received {path}, a {kind} run; name another run"
        )


def load_application(name, layers, weights):
    """A convnet of keras.applications with its weights, cut at some layers, and its preprocessing."""
    constructor = _find_application(name)
    preprocess = sys.modules[constructor.__module__].preprocess_input
    full = constructor(weights=None)
    bare = constructor(weights=None, include_top=False, input_shape=full.input_shape[1:])
    if not layers:
        names = [each.name for each in full.layers]
        layers = [PAPER_LAYER if PAPER_LAYER in names else bare.layers[-1].name]
    of_head = [layer for layer in layers if layer not in [each.name for each in bare.layers]]
    for layer in of_head:
        _require_layer(full, layer, name)
    needs_head = bool(of_head)
    if weights == "imagenet":
        model = _download(constructor, name, include_top=needs_head, input_shape=full.input_shape[1:])
    else:
        whole = f"pass a file of the full {name}, named *.weights.h5 or *.h5 as Keras saves them"
        remedy = f"{whole}, or choose a --layer below its head, such as {bare.layers[-1].name}" if needs_head else whole
        model = _load_weights(
            [full] if needs_head else [bare, full], f"{name} up to layer {', '.join(layers)}", weights, remedy
        )
    return _cut(model, layers, name), preprocess


def _load_weights(models, wanted, weights, remedy):
    """The first of the models that the file fits, with its weights."""
    if not Path(weights).is_file():
        raise BackboneError(f"expected --weights to be imagenet or a file, found no file {weights}; check the path")
    flaws = []
    for model in models:
        try:
            absent = _fill(model, weights)
        except UNREADABLE as error:
            flaws.append(f"does not fit ({_first_line(error).rstrip(' .:')})")
            continue
        if not absent:
            return model
        flaws.append(f"lacks some of them ({', '.join(absent[:3])}{', ...' if len(absent) > 3 else ''})")
    raise BackboneError(f"expected weights of {wanted} in {weights}, received a file that {flaws[0]}; {remedy}")


def _fill(model, weights):
    """Loads what the file has; the names of the weights that it lacks."""
    if Path(weights).suffix == ".keras":
        require_bounded(weights)
    else:
        require_bounded_arrays(weights, Path(weights).stat().st_size)
    floating = [weight for weight in model.weights if "float" in str(weight.dtype)]
    for weight in floating:
        weight.assign(np.full(weight.shape, np.nan))  # so that what the file lacks shows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' words for what is missing, and for groups that older files lack
        model.load_weights(weights, skip_mismatch=True)
    return [weight.path for weight in floating if np.isnan(np.asarray(weight)).any()]


def _download(constructor, name, **settings):
    try:
        return constructor(weights="imagenet", **settings)
    except Exception as error:
        # keras.utils.get_file raises Exception itself, no subclass, when a download fails.
        if type(error) is not Exception and not isinstance(error, OSError):
            raise
        raise BackboneError(
            f"expected to find or download the ImageNet weights of {name}, received: {_first_line(error)}; "
            "pass a weights file with --weights PATH"
        ) from error


def _find_application(name):
    functions = inspect.getmembers(keras.applications, inspect.isfunction)
    known = {function_name.lower(): function for function_name, function in functions}
    wanted = str(name).lower().replace("-", "").replace("_", "")
    if wanted not in known:
        close = difflib.get_close_matches(wanted, known, n=3) or ["vgg16", "resnet50", "efficientnetb0"]
        raise BackboneError(
            f"expected --backbone to be a .keras file, a run folder or a name from keras.applications, "
            f"received {name}; try {', '.join(close)}"
        )
    return known[wanted]


def _cut(model, layers, name):
    if not layers or layers == [model.layers[-1].name]:
        return model
    outputs = []
    for layer in layers:
        cut = _require_layer(model, layer, name)
        if isinstance(cut, keras.Model):  # its own output belongs to its own input
            raise BackboneError(
                f"expected --layer to be a layer of {name}, received {layer}, a whole model within it; name another, "
                "or save the part of the model that gives the percepts as a file of its own"
            )
        outputs.append(cut.output)
    return keras.Model(model.inputs[0], outputs if len(outputs) > 1 else outputs[0])


def _require_layer(model, layer, name):
    names = [each.name for each in model.layers]
    if layer not in names:
        useful = [each.name for each in model.layers if not isinstance(each, PLAIN_LAYERS)] or names
        shown = difflib.get_close_matches(layer, useful, n=4, cutoff=0.6) or useful[-SHOWN_LAYERS:]
        raise LayerError(f"expected --layer to be a layer of {name}, received {layer}; try {', '.join(shown)}")
    return model.get_layer(layer)


def _first_line(error):
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
