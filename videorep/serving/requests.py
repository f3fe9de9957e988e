"""Requests to every signature, with the answers of the model itself: for the check of an export and its warm-up."""

import dataclasses

import numpy as np
import tensorflow as tf

from videorep.data.shards import keys
from videorep.progress import SilentProgress

SHAPES = ((1, 3), (2, 19))  # videos and frames of a request
SHAPES_OF_IMAGES = ((1, 1), (2, 3))  # convnets take their time
EXACT, ROUNDED = 1e-5, 1e-3


@dataclasses.dataclass(frozen=True)
class Request:
    """Inputs (arrays by name) of a signature, the answer in this process and how far another's may lie from it."""

    signature: str
    inputs: dict
    answer: dict
    tolerance: float


def make_requests(served, signatures, progress=None):
    """Two `Request`s for each of `signatures`, {name: concrete function}, of several batch sizes and lengths."""
    draw, requests = np.random.default_rng(0), []
    with (progress or SilentProgress()).task("Asking the model", len(SHAPES) * len(signatures), "requests") as advance:
        for name, signature in signatures.items():
            _, *specs = served.listed()[name]
            of_images = any(spec.dtype == tf.string for spec in specs)
            for batch, length in SHAPES_OF_IMAGES if of_images else SHAPES:
                side = served.perception.side if of_images else 0
                inputs = {spec.name: _fill(spec, batch, length, side, draw) for spec in specs}
                answer = signature(**{each: tf.constant(array) for each, array in inputs.items()})
                answer = {each: tensor.numpy() for each, tensor in answer.items()}
                requests.append(Request(name, inputs, answer, _tolerance(served, of_images)))
                advance(1, note=name)
    return requests


def _tolerance(served, of_images):
    """1e-5; 1e-3 where numbers are rounded to fewer digits on the way, or a GPU computes what a CPU is held to."""
    rounded = {layer.compute_dtype for layer in served.model.layers} - {"float32"}
    return ROUNDED if of_images or rounded or tf.config.list_physical_devices("GPU") else EXACT


def _fill(spec, batch, length, side, draw):
    """An array for an argument of a signature."""
    sizes = iter((batch, length))
    shape = [next(sizes) if size is None else size for size in spec.shape]
    if spec.dtype == tf.int32:  # lengths and horizons; of streams any number will do
        return draw.integers(1, length + 1, shape, np.int32)
    if spec.name == "examples":
        return np.array([_record([_jpeg(side, draw) for _ in range(length)]) for _ in range(batch)], object)
    if spec.dtype == tf.string:
        return np.array([_jpeg(side, draw) for _ in range(int(np.prod(shape)))], object).reshape(shape)
    return draw.random(shape, np.float32)


def _jpeg(side, draw):
    coarse = draw.integers(0, 256, (side // 8 + 2, side // 6 + 2, 3), np.uint8)
    return tf.io.encode_jpeg(coarse.repeat(8, axis=0).repeat(8, axis=1)).numpy()


def _record(images):
    record = tf.train.SequenceExample()
    for image in images:
        record.feature_lists.feature_list[keys.IMAGE_ENCODED].feature.add().bytes_list.value.append(image)
    return record.SerializeToString()
