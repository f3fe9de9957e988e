"""Pretrained convnets that turn frames into percepts: named layers of keras.applications or of `.keras` files."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from keras import ops

from videorep.data.percepts.backbone_sources import load_application, load_file
from videorep.data.percepts.frames import PAPER_CROP
from videorep.errors import BackboneError
from videorep.runs import CONFIG, load_run


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A convnet, cut at one layer, together with the preprocessing that its weights expect.

    `extract` maps images (B, S, S, C), RGB in 0..255 (or mean-subtracted flow), to percepts (B, D) float32.
    `description` tells name, layer, weights and their hash; it goes into dataset.json.
    """

    extract: Callable
    size: int
    channels: int
    features: int
    description: dict


def load_backbone(name, layer=None, weights="imagenet"):
    """Loads the convnet `name` and cuts it at `layer`.

    A keras.applications convnet gets that module's own `preprocess_input`; a `.keras` file receives its images as they
    are (RGB in 0..255) and scales them itself. A layer with positions (B, H, W, C) is averaged over them to (B, C).

    Args:
        name: A name from keras.applications in any case ("vgg16"), a `.keras` file, or a run of train-stream.
        layer: Name of the layer that gives the percepts. Default: the paper's fc6, named "fc1" in VGG and "fc6" in a
            run of train-stream; otherwise the output of the file, or of the application without its head.
        weights: "imagenet" (what Keras has in its cache or downloads) or a file of the full or of the headless
            application; a `.keras` file brings its own.
    Returns:
        Backbone.
    Raises:
        BackboneError: an unknown name or layer, unreadable or unfit weights, or an input that is not an image.
    """
    path = Path(name)
    if path.suffix == ".keras" or path.is_dir():
        model, preprocess = load_file(path, layer, weights), None
        weights = name
    else:
        model, preprocess = load_application(name, layer, weights)
    _, height, width, channels = model.input_shape
    if height != width or len(model.outputs) != 1 or not model.output_shape[-1]:
        raise BackboneError(
            f"expected a convnet with a square input and one output of a known size, received {name} with "
            f"{height}x{width} and {model.output_shape}; use another, or name a --layer"
        )
    _require_finite(model, name)
    description = {
        "backbone": path.name,
        "layer": layer or model.layers[-1].name,
        "weights": Path(weights).name,
        "weights_sha256": hash_weights(model),
        "preprocessing": "" if preprocess is None else preprocess.__module__.removeprefix("keras.src."),
    }

    @tf.function(reduce_retracing=True)
    def extract(images):
        images = tf.cast(images, tf.float32)
        features = model(images if preprocess is None else preprocess(images), training=False)
        positions = list(range(1, features.shape.rank - 1))
        return tf.cast(tf.reduce_mean(features, positions) if positions else features, tf.float32)

    return Backbone(extract, height or PAPER_CROP, channels, model.output_shape[-1], description)


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
