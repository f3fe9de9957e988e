"""CNN-M-2048, the convnet of the two-stream network: on stacks of optical flow, or on single RGB frames."""

import itertools

import keras
import numpy as np
from keras import ops

from videorep.config import STREAMS, require, whole

INPUT_SIZE = 224
FC6_UNITS, FC7_UNITS = 4096, 2048
MIDDLE_GREY = 128.0


@keras.saving.register_keras_serializable(package="videorep")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides every activation by what its neighbouring channels at the same position hold.

        b_c = a_c / (bias + alpha * sum_{|k - c| <= depth // 2} a_k^2) ^ beta

    Keras has no such layer. Caffe divides `alpha` by `depth`; here, as in the paper, it is not divided. Computed in
    float32: in float16 the squares of activations above 255 would be infinite.

    Args:
        depth: Odd number of channels that are summed, that of `a_c` in their middle.
        bias, alpha, beta: As above.
    Call arguments:
        inputs: (B, H, W, C).
    Raises:
        ConfigError: `depth` is not a positive odd number; Caffe refuses even ones too.
    Source: Krizhevsky et al. 2012, section 3.3.
    """

    def __init__(self, depth=5, bias=2.0, alpha=1e-4, beta=0.75, **kwargs):
        super().__init__(**kwargs)
        require(isinstance(depth, int) and depth >= 1 and depth % 2 == 1, "depth", "a positive odd number", depth)
        self.depth, self.bias, self.alpha, self.beta = depth, bias, alpha, beta

    def call(self, inputs):
        # A product with a band of ones sums the neighbours: twice as fast as adding shifted copies, and always in the
        # same order (TensorFlow adds three arrays and more in the order in which they are ready).
        channels, radius = inputs.shape[-1], self.depth // 2
        band = np.tri(channels, k=radius) - np.tri(channels, k=-radius - 1)
        activations = ops.cast(inputs, "float32")
        total = ops.matmul(ops.square(activations), ops.cast(band, "float32"))
        return ops.cast(activations * ops.power(self.bias + self.alpha * total, -self.beta), inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        settings = {"depth": self.depth, "bias": self.bias, "alpha": self.alpha, "beta": self.beta}
        return super().get_config() | settings


def build_temporal_stream(classes, stream="flow", flow_stack=10, dropout=0.9, seed=None, dtype=None):
    """Builds CNN-M-2048 as a functional Keras model whose layer "fc6" gives the percepts.

        conv1 96 x 7x7 /2, norm, pool · conv2 256 x 5x5 /2, pool · conv3, conv4, conv5 512 x 3x3, pool
        fc6 4096 · fc7 2048 · softmax

    ReLU after each but the last; pools take the maximum of 3x3, stride 2; dropout after fc6 and fc7. As in the temporal
    stream of the paper there is no second normalisation; the spatial stream of the paper has one.

    Args:
        classes: Number of classes.
        stream: "flow" for mean-subtracted stacks of flow in bytes, "rgb" for frames in 0..255 (centred inside).
        flow_stack: L, flow fields per stack: the input has 2L channels; of no meaning for RGB.
        dropout: Share that is dropped (the paper's temporal stream: 0.9), inverted.
        seed: Int or None, of the initial weights and of the dropout.
        dtype: A Keras dtype policy, such as "mixed_bfloat16".
    Returns:
        A Keras model: (B, 224, 224, 2L or 3) -> (B, classes) float32 probabilities.
    Raises:
        ConfigError: a number that no such net can have.
    Source: Simonyan and Zisserman 2014, section 3.1 and figure 1; Chatfield et al. 2014, CNN-M-2048.
    """
    classes, flow_stack = whole("classes", classes, 2), whole("flow_stack", flow_stack)
    require(stream in STREAMS, "stream", f"one of {', '.join(STREAMS)}", stream)
    require(0 <= dropout < 1, "dropout", "in [0, 1)", dropout)
    images = keras.Input((INPUT_SIZE, INPUT_SIZE, 3 if stream == "rgb" else 2 * flow_stack), name="images")
    tensor = images
    for layer in _layers(classes, stream, dropout, seed, dtype):
        tensor = layer(tensor)
    return keras.Model(images, tensor, name="temporal_stream")


def _layers(classes, stream, dropout, seed, dtype):
    seeds = itertools.repeat(None) if seed is None else itertools.count(seed)

    def active(make, *sizes, **options):
        start = keras.initializers.HeNormal(seed=next(seeds))
        return make(*sizes, activation="relu", kernel_initializer=start, dtype=dtype, **options)

    def pool(name, padding="valid"):
        return keras.layers.MaxPooling2D(3, 2, padding, dtype=dtype, name=name)

    def drop(name):
        return keras.layers.Dropout(dropout, seed=next(seeds), dtype=dtype, name=name)

    convolution, dense = keras.layers.Conv2D, keras.layers.Dense
    # A small kernel: activations are in bytes, and training should begin undecided.
    small = keras.initializers.RandomNormal(stddev=1e-3, seed=next(seeds))
    centre = keras.layers.Rescaling(1.0, -MIDDLE_GREY, dtype=dtype, name="centre")
    return [
        *([centre] if stream == "rgb" else []),
        active(convolution, 96, 7, 2, name="conv1"),
        LocalResponseNormalization(dtype=dtype, name="norm1"),
        pool("pool1"),
        keras.layers.ZeroPadding2D(1, dtype=dtype, name="pad2"),
        active(convolution, 256, 5, 2, name="conv2"),
        pool("pool2", "same"),
        *(active(convolution, 512, 3, padding="same", name=name) for name in ("conv3", "conv4", "conv5")),
        pool("pool5"),
        keras.layers.Flatten(dtype=dtype, name="flatten"),
        active(dense, FC6_UNITS, name="fc6"),
        drop("dropout6"),
        active(dense, FC7_UNITS, name="fc7"),
        drop("dropout7"),
        dense(classes, "softmax", kernel_initializer=small, dtype="float32", name="probabilities"),
    ]
