"""From encoded frames to features within the graph: what `build-shards percepts` does, without OpenCV and Python."""

import json
import warnings

import tensorflow as tf

from videorep.config import FinetuneConfig, StreamConfig
from videorep.data.percepts.frames import crop_centre
from videorep.data.shards import keys
from videorep.errors import BackboneError, RunError, VideorepWarning
from videorep.live.perception import REPEATED, find_backbone, read_stages

STREAM_BATCH = 32  # frames that a stream net sees at once


class GraphPerception(tf.Module):
    """JPEGs (or PNGs) decoded, scaled, cut and seen by a convnet.

    Args:
        extract: Function of images (n, S, S, 3) that gives features (n, D) float32.
        side: S.
        features: D.
        size: Of stored frames, as `ClipsConfig` has it: frames of another size are scaled to it first.
        dtype: In which percepts are stored.
        batch_size: Frames that the convnet sees at once.
        clips: The settings by which clients make clips of videos, a dict for JSON.
    """

    def __init__(self, extract, side, features, *, size=None, dtype="float32", batch_size=STREAM_BATCH, clips=None):
        super().__init__()
        self._side, self._features, self._size, self._dtype = side, features, size, dtype
        self._clips = json.dumps(clips)  # a text: TensorFlow would wrap a dict
        self._batch_size = batch_size
        self.extract = tf.function(extract).get_concrete_function(tf.TensorSpec((None, side, side, 3), tf.uint8))
        self.variables_ = list(self.extract.variables)  # a SavedModel stores what its root can reach

    @property
    def side(self):
        return self._side

    @property
    def clips(self):
        return json.loads(self._clips)

    def see_clips(self, images):
        """Clips (B, T) of encoded frames, "" behind those of shorter ones: features (B, T, D) and lengths (B,)."""
        there = tf.not_equal(images, "")
        length = tf.reduce_sum(tf.cast(there, tf.int32), axis=1)
        message = "expected empty strings behind the frames of a clip alone, received one before a frame"
        check = tf.debugging.assert_equal(there, tf.sequence_mask(length, tf.shape(images)[1]), message)
        with tf.control_dependencies([check]):
            seen = self.see(tf.boolean_mask(images, there))
        rows = tf.RaggedTensor.from_row_lengths(seen, length)
        return rows.to_tensor(shape=(None, None, self._features)), length

    def see(self, images):
        """Features (N, D) of encoded frames (N,), a batch of the convnet's after the other."""
        size, count = self._batch_size, tf.shape(images)[0]
        batches = tf.maximum((count + size - 1) // size, 1)
        seen = tf.TensorArray(tf.float32, batches, element_shape=(None, self._features), infer_shape=False)
        for number in tf.range(batches):
            part = images[number * size : (number + 1) * size]
            cut = tf.map_fn(self._cut, part, fn_output_signature=tf.TensorSpec((self._side, self._side, 3), tf.uint8))
            seen = seen.write(number, self.extract(cut))
        return tf.cast(tf.cast(seen.concat(), self._dtype), tf.float32)

    def parse(self, examples):
        """Records (B,) of clip shards as the images (B, T) that they hold."""
        frames = {keys.IMAGE_ENCODED: tf.io.FixedLenSequenceFeature([], tf.string)}
        return tf.io.parse_sequence_example(examples, sequence_features=frames)[1][keys.IMAGE_ENCODED]

    def _cut(self, image):
        """Decoded as `decode_image` does: by libjpeg's accurate integer transform."""
        decoded = tf.io.decode_jpeg(image, channels=3, dct_method="INTEGER_ACCURATE")
        return crop_centre(_as_stored(decoded, self._size), self._side)


def _as_stored(image, size):
    """An image in the size in which clip shards have it, see `videorep.data.videos.decode.resize_frame`."""
    shape = tf.shape(image)[:2]
    if size is None:
        return image
    if isinstance(size, int):
        sides = tf.cast(shape, tf.float64) * size / tf.cast(tf.reduce_min(shape), tf.float64)
        target = tf.maximum(tf.cast(tf.round(sides), tf.int32), 1)
    else:
        target = tf.constant(size, tf.int32)

    def scaled():
        return tf.saturate_cast(tf.round(tf.image.resize(image, target, method="area")), tf.uint8)

    return tf.cond(tf.reduce_all(tf.equal(shape, target)), lambda: image, scaled)


def open_perception(run, model, backbones=()):
    """The `GraphPerception` of a run.

    Args:
        backbones: Files of a convnet that has moved since; without any a missing one is no error.
    Returns:
        (perception or None, why there is none or "").
    Raises:
        RunError, BackboneError: as `videorep.live.perception` raises them, where `backbones` name something.
    """
    if isinstance(run.config, StreamConfig) and run.config.model.stream == "rgb":
        side, classes = model.inputs[0].shape[1], len(run.config.model.classes)
        return GraphPerception(lambda images: model(tf.cast(images, tf.float32), training=False), side, classes), ""
    if isinstance(run.config, StreamConfig):
        return None, FLOW
    if not isinstance(run.config, FinetuneConfig):
        return None, ""
    try:
        stages = read_stages(run)
        net = find_backbone(stages, backbones)
    except (RunError, BackboneError) as error:
        if backbones:
            raise
        return None, str(error)
    clips, percepts = stages.clips, stages.percepts
    if percepts.stream == "flow":
        return None, FLOW
    if percepts.precision != "float32":
        told = f"the exported convnet computes in float32; the run learned from percepts of {percepts.precision}"
        warnings.warn(told, VideorepWarning, stacklevel=2)
    repeated = {name: getattr(clips, name) for name in REPEATED}
    options = {"size": clips.size, "dtype": percepts.dtype, "batch_size": percepts.batch_size, "clips": repeated}
    return GraphPerception(net.extract, net.size, net.features, **options), ""


FLOW = "optical flow is estimated by OpenCV, which a graph cannot hold"
