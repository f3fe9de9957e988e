"""Makes a convnet that sees optical flow from one that sees images, without training: python tools/flow_backbone.py.

The mean horizontal displacement of a stack of fields becomes red, the mean vertical one green, the sum of both lengths
blue, no motion the middle of the range; the convnet's own weights do the rest (features for flow from weights for
images: Wang et al., "Temporal segment networks", ECCV 2016, section 3.2, there as a start to train from). A net of
`videorep train-stream` knows flow better, but needs many labelled videos.

    python tools/flow_backbone.py efficientnet.keras flow.keras --flow-stack 10
    videorep build-shards percepts clips --out flow --backbone flow.keras --stream flow --flow-stack 10
"""

import argparse

import keras
import numpy as np

GAIN = 4.0  # of 6.35 per pixel of displacement: 5 pixels reach the end of an image's range
MIDDLE = 128.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help=".keras file of a convnet that sees RGB images in 0..255")
    parser.add_argument("flow", help="file to write (.keras)")
    parser.add_argument("--flow-stack", type=int, default=10)
    arguments = parser.parse_args()
    see_flow(keras.saving.load_model(arguments.images), arguments.flow_stack).save(arguments.flow)


def see_flow(net, flow_stack):
    """A model of `net` (S, S, 3) that takes flow (S, S, 2 * flow_stack) as `build-shards percepts` gives it."""
    flow = keras.Input((*net.input_shape[1:3], 2 * flow_stack), name="flow")
    signs = np.float32([[1, -1, 0, 0], [0, 0, 1, -1]])  # each direction and its opposite, of which relu keeps one
    colours = GAIN * np.float32([[1, 0, 1], [-1, 0, 1], [0, 1, 1], [0, -1, 1]])
    first = keras.layers.Conv2D(4, 1, activation="relu", use_bias=False, name="directions")
    second = keras.layers.Conv2D(3, 1, name="colours")
    features = net(second(first(flow)))
    first.set_weights([np.tile(signs, (flow_stack, 1))[None, None] / flow_stack])
    second.set_weights([colours[None, None], np.full(3, MIDDLE, np.float32)])
    return keras.Model(flow, features)


if __name__ == "__main__":
    main()
