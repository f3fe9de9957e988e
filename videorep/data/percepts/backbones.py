"""Pretrained convnets that turn frames into percepts: named layers of keras.applications or of `.keras` files."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf
from keras import ops

from videorep.data.percepts.backbone_sources import load_application, load_file
from videorep.data.percepts.frames import PAPER_CROP
from videorep.data.percepts.hub import PREFIX, load_preset
from videorep.data.percepts.pooling import pool_positions, pooled_width
from videorep.errors import BackboneError
from videorep.runs import CONFIG, load_run


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A convnet, cut at one layer or several, together with the preprocessing that its weights expect.

    `extract` maps images (B, S, S, C), RGB in 0..255 (or mean-subtracted flow), to percepts (B, D) float32.
    `description` tells name, layers and how they are pooled, weights and their hash; it goes into dataset.json.
    """

    extract: Callable
    size: int
    channels: int
    features: int
    description: dict


def load_backbone(name, layer=None, weights="imagenet", pool=None):
    """Loads the convnet `name` and cuts it at `layer`.

    A keras.applications convnet gets that module's own `preprocess_input`; a `.keras` file receives its images as they
    are (RGB in 0..255) and scales them itself; a preset of keras-hub has an image converter. A layer with positions
    (B, H, W, C) is pooled over them to (B, D); the values of several layers follow one another.

    Args:
        name: A name from keras.applications in any case ("vgg16"), a `.keras` file, a run of train-stream, or
            "hub:PRESET" of keras-hub, see `videorep.data.percepts.hub`.
        layer: Name of the layer that gives the percepts, or names of several. Default: the paper's fc6, named "fc1" in
            VGG and "fc6" in a run of train-stream; otherwise the output of the file, or of the application without its
            head.
        weights: "imagenet" (what Keras has in its cache or downloads) or a file of the full or of the headless
            application; a `.keras` file brings its own.
        pool: See `videorep.data.percepts.pooling`. Default: the mean; the class token of a transformer with one.
    Returns:
        Backbone.
    Raises:
        BackboneError: an unknown name or layer, unreadable or unfit weights, an input that is not an image, or a layer
            that cannot be pooled so.
    """
    path, layers = Path(name), [layer] if isinstance(layer, str) else list(layer or [])
    told = {"backbone": path.name, "weights": path.name, "preprocessing": "", "pool": pool or "mean"}
    if str(name).startswith(PREFIX):
        model, preprocess, layers, own = load_preset(str(name), layers, weights, pool)
        told |= own
    elif path.suffix == ".keras" or path.is_dir():
        model, preprocess = load_file(path, layers, weights), None
    else:
        model, preprocess = load_application(name, layers, weights)
        told |= {"weights": Path(weights).name, "preprocessing": preprocess.__module__.removeprefix("keras.src.")}
    _, height, width, channels = model.input_shape
    size = height or PAPER_CROP
    shapes = [tuple(output.shape) for output in model.outputs]
    if height != width or len(shapes) != max(1, len(layers)) or not all(shape[-1] for shape in shapes):
        raise BackboneError(
            f"expected a convnet with a square input and one output of a known size, received {name} with "
            f"{height}x{width} and {', '.join(map(str, shapes))}; use another, or name a --layer"
        )
    layers = layers or [model.layers[-1].name]
    if height is None:
        images = keras.Input((size, size, channels))
        model = keras.Model(images, model(images))
        shapes = [tuple(output.shape) for output in model.outputs]
    pool = pool or "mean"
    widths = [pooled_width(*each, pool, name) for each in zip(shapes, layers, strict=True)]
    _require_finite(model, name)
    several = len(layers) > 1
    description = {"layer": layers, "layer_features": widths} if several else {"layer": layers[0]}
    description |= {key: value for key, value in told.items() if (key, value) != ("pool", "mean")}
    description["weights_sha256"] = hash_weights(model)

    @tf.function(reduce_retracing=True)
    def extract(images):
        images = tf.cast(images, tf.float32)
        outputs = model(images if preprocess is None else preprocess(images), training=False)
        pooled = [tf.cast(pool_positions(each, pool), tf.float32) for each in tf.nest.flatten(outputs)]
        return tf.concat(pooled, axis=-1)

    return Backbone(extract, size, channels, sum(widths), description)


def trained_on(name):
    """(stream, flow_stack) that a convnet was trained on: a run of train-stream tells; all others take RGB."""
    if not (Path(name) / CONFIG).is_file():
        return "rgb", 1
    config = load_run(name).config
    return (config.model.stream, config.model.flow_stack) if config.kind == "stream" else ("rgb", 1)


def hash_weights(model):
    """SHA-256 over the weights that the percepts depend on, in the model's order, with their shapes."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(repr((array.shape, str(array.dtype))).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _require_finite(model, name):
    """Raises a BackboneError for weights that would make NaN of every frame."""
    for weight in model.weights:
        if "float" in str(weight.dtype) and not bool(ops.all(ops.isfinite(weight))):
            raise BackboneError(
                f"expected finite weights in {name}, received some in {weight.path} that are not; use another file"
            )
