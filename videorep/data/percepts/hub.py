"""Image backbones of keras-hub: presets by name, of Hugging Face and Kaggle, or in a folder; with their preprocessing.

Transformers give tokens: one for the class and perhaps registers, then one per patch. What stands for a frame is what
the model itself is read by: attention pooling that is part of it, else the class token, else the mean of the patches.
"""

import contextlib
import difflib
import math
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from videorep.data.percepts.frames import PAPER_CROP
from videorep.errors import BackboneError, LayerError
from videorep.models.files import UNREADABLE, require_bounded_arrays

PREFIX = "hub:"
TOKEN = "token"  # what dataset.json calls the class token, where others have a pooling of positions
REMOTE = ("hf://", "kaggle://")


def load_preset(name, layers, weights, pool):
    """The part of a preset of keras-hub, "hub:PRESET" or "hub:FOLDER", that sees images, cut at some layers.

    Args:
        layers: Names of layers, or of keras-hub's `pyramid_outputs`; [] for the last one, or with a `pool` the last one
            that has positions.
        weights: "imagenet", which is as much as nothing: a preset brings its own.
        pool: As for `load_backbone`, of patches alone; None for the class token, where a layer has one.
    Returns:
        (model, preprocess, layers, description). The model's outputs are (B, D), or positions (B, R, C, D);
        `preprocess` maps images (B, S, S, 3), RGB in 0..255, to its input.
    Raises:
        BackboneError: keras-hub is not installed; the preset cannot be had, has no image backbone, or tokens whose
            places are unknown; or it would need code that is not keras-hub's.
        LayerError: no such layer.
    """
    if weights not in (None, "imagenet"):
        raise BackboneError(
            f"expected no --weights beside {name}, which brings its own, received {weights}; leave it out"
        )
    preset = name.removeprefix(PREFIX)
    encoder, converter = _read(preset, name)
    size = encoder.inputs[0].shape[1] or (converter.image_size or [PAPER_CROP])[0]
    outputs = _list_outputs(encoder)
    if not layers and isinstance(encoder.output, keras.KerasTensor):
        layers = [layer for layer, output in outputs.items() if pool is None or len(output.shape) > 2][-1:]
    cut = keras.Model(encoder.inputs[0], [_require_output(outputs, layer, name) for layer in layers or [""]])
    images = keras.Input((size, size, encoder.inputs[0].shape[-1]))
    patch = getattr(encoder, "patch_size", None)
    seen = cut(np.zeros((1, *images.shape[1:]), np.float32))  # what SigLIP says of its number of tokens is one too many
    counts = [values.shape[1] for values in tf.nest.flatten(seen)]
    tokens = zip(tf.nest.flatten(cut(images)), counts, strict=True)
    arranged = [_arrange(values, count, size, patch, pool, name) for values, count in tokens]
    pool = pool or (TOKEN if any(kind == TOKEN for _, kind in arranged) else "mean")
    model = keras.Model(images, [values for values, _ in arranged] if len(arranged) > 1 else arranged[0][0])
    scale = 1 if converter.scale is None else converter.scale
    offset = 0 if converter.offset is None else converter.offset
    called = f"{PREFIX}{Path(preset).resolve().name}" if Path(preset).is_dir() else name
    description = {"backbone": called, "weights": called, "pool": pool}
    description["preprocessing"] = f"{type(converter).__name__} with scale {scale} and offset {offset}"
    return model, lambda images: images * scale + offset, layers, description


def _read(preset, name):
    """The part of a preset that sees images, and its image converter."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of its import
            import keras_hub
    except ImportError as error:
        raise BackboneError(
            f"expected keras-hub for {name}, received an installation without it; pip install 'videorep[hub]'"
        ) from error
    known = set(keras_hub.models.Backbone.presets)
    if not (preset in known or preset.startswith(REMOTE) or Path(preset).is_dir()):
        close = difflib.get_close_matches(preset, known, n=3) or ["dinov2_small", "vit_base_patch16_224_imagenet"]
        raise BackboneError(
            f"expected --backbone hub: with a preset of keras-hub, hf://, kaggle:// or a folder, received {name}; try "
            f"{', '.join(PREFIX + each for each in close)}"
        )
    preset = str(Path(preset).resolve()) if Path(preset).is_dir() else preset  # keras-hub looks for names first
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras' words for what the files lack or leave
            converter = keras_hub.layers.ImageConverter.from_preset(preset)  # first: it is small
            for file in Path(preset).glob("*.h5"):
                require_bounded_arrays(file, file.stat().st_size)
            backbone = keras_hub.models.Backbone.from_preset(preset)
    except (*UNREADABLE, tf.errors.OpError) as error:
        raise BackboneError(
            f"expected an image backbone with its image converter in {name}, received none that keras-hub can load "
            f"({' '.join(str(error).split())[:200]}); check the name and the network, or save it anew with "
            "save_to_preset, without classes of one's own"
        ) from error
    encoder = getattr(backbone, "vision_encoder", backbone)
    shapes = [tuple(each.shape) for each in encoder.inputs]
    square = [len(shape) == 4 and shape[1] == shape[2] for shape in shapes]
    if square != [True] or type(converter).call is not keras_hub.layers.ImageConverter.call:
        raise BackboneError(
            f"expected a preset that takes single square images, (B, S, S, 3), received {name}, a "
            f"{type(backbone).__name__} of {', '.join(map(str, shapes))}; choose another, such as hub:dinov2_small"
        )
    return encoder, converter


def _list_outputs(encoder):
    """The tensors that layers may be named for, the model's own output last."""
    outputs = dict(getattr(encoder, "pyramid_outputs", {}))
    for layer in encoder.layers:
        if not isinstance(layer, (keras.layers.InputLayer, keras.Model)):
            with contextlib.suppress(AttributeError, ValueError):  # called more than once, it has no one output
                outputs[layer.name] = layer.output
    last = encoder.layers[-1].name
    outputs = {name: output for name, output in outputs.items() if name != last} | {last: encoder.output}
    return {name: output for name, output in outputs.items() if isinstance(output, keras.KerasTensor)}


def _require_output(outputs, layer, name):
    if layer not in outputs:
        shown = difflib.get_close_matches(layer, outputs, n=4) or list(outputs)[-8:]
        raise LayerError(
            f"expected --layer to be a layer of {name}, received {layer or 'none'}; try {', '.join(shown)}"
        )
    return outputs[layer]


def _arrange(values, count, size, patch, pool, name):
    """Tokens (B, N, D) as the class token (B, D), or as patches in their places (B, R, R, D); others as they are.

    Models of keras-hub have the class token first, then other tokens, then one per patch, row by row.
    """
    if len(values.shape) != 3:
        return values, "mean"
    side = size // (patch[0] if isinstance(patch, (tuple, list)) else patch or size)
    merged = patch and count < side**2  # of several patches one
    side = math.isqrt(count) if merged else side
    extra = count - side**2
    if not patch or (merged and extra):
        raise BackboneError(
            f"expected tokens whose places are known, received {count} of {name} for {size}x{size} pixels; name "
            "another --layer"
        )
    if extra and pool is None:
        return values[:, 0], TOKEN
    return keras.ops.reshape(values[:, extra:], (-1, side, side, values.shape[-1])), "mean"
