"""What a SavedModel computes: the models with what serving needs around them, in TensorFlow alone."""

import tensorflow as tf

from videorep.config import FinetuneConfig, StreamConfig
from videorep.models.averaging import average_steps

INPUT = {"pretrain": "frames", "finetune": "frames", "stream": "stacks"}  # names of the signatures' only argument


class Served(tf.Module):
    """A model behind the signature `serving_default`, whose only argument is what `INPUT` names.

    A request that no honest answer can be given to fails with InvalidArgumentError (of TensorFlow Serving:
    INVALID_ARGUMENT) and says why: NaN or infinite values, and sequences of no frames.
    """

    def __init__(self, model, config):
        super().__init__()
        self.model, self.config = model, config
        self.variables_ = [variable.value for variable in model.variables]

    @property
    def signature(self):
        """The TensorSpec of the argument; None where any number will do."""
        return tf.TensorSpec(self.input_shape, tf.float32, name=INPUT[self.config.kind])


class ServedEncoderDecoder(Served):
    """Reconstruction and future of a batch of frame sequences, the model fed with its own output."""

    @property
    def input_shape(self):
        return (None, self.model.config.input_frames, self.model.config.features)

    @property
    def outputs(self):
        return list(self.model.config.branches)

    @tf.function
    def __call__(self, frames):
        return self.model({"frames": require_finite(frames)}, training=False)


class ServedStream(Served):
    """Class probabilities of a batch of stacks of optical flow, or of frames."""

    outputs = ("probabilities", "index", "label")

    @property
    def input_shape(self):
        return tuple(self.model.inputs[0].shape)

    @tf.function
    def __call__(self, stacks):
        return name_classes(self.model(require_finite(stacks), training=False), self.config.model.classes)


class ServedClassifier(Served):
    """Video-level classification: block probabilities averaged over steps, then over blocks (paper section 3.3).

    A video of at least `block_frames` frames is cut into blocks with stride `block_stride`; a shorter one is one
    block, whose padded steps are left out of the average.
    """

    outputs = ("probabilities", "index", "label")

    @property
    def input_shape(self):
        return (None, None, self.model.config.features)

    @tf.function
    def __call__(self, frames):
        (size, stride), classes = self.model.config.block, self.model.config.classes
        batch, length = tf.shape(frames)[0], tf.shape(frames)[1]
        tf.debugging.assert_greater_equal(length, 1, "expected videos of at least one frame, received none")
        padded = tf.pad(require_finite(frames), [[0, 0], [0, tf.maximum(size - length, 0)], [0, 0]])
        blocks = tf.signal.frame(padded, size, stride, axis=1)
        count = tf.shape(blocks)[1]
        blocks = tf.reshape(blocks, (batch * count, size, self.model.config.features))
        probabilities = self.model({"frames": blocks}, training=False)
        mask = tf.repeat((tf.range(size) < length)[None], batch * count, axis=0)
        per_block = average_steps(probabilities, mask)
        per_video = tf.reduce_mean(tf.reshape(per_block, (batch, count, len(classes))), axis=1)
        return name_classes(per_video, classes)


def require_finite(values):
    """The values; the request fails where one of them is NaN or infinite."""
    finite = tf.reduce_all(tf.math.is_finite(values))
    message = "expected finite values, received NaN or infinity; look at what made them"
    check = tf.debugging.Assert(finite, [message])
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(values)


def name_classes(probabilities, classes):
    """{"probabilities": (B, K), "index": (B,), "label": (B,)} of the most probable class."""
    best = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
    return {"probabilities": probabilities, "index": best, "label": tf.gather(tf.constant(classes), best)}


def serve(model, config):
    """The `Served` model of a run with this configuration."""
    kinds = {FinetuneConfig: ServedClassifier, StreamConfig: ServedStream}
    return kinds.get(type(config), ServedEncoderDecoder)(model, config)
