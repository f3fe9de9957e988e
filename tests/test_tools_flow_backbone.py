"""tools/flow_backbone.py: what the convnet for images is shown of a stack of fields, by hand."""

import sys
from pathlib import Path

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from flow_backbone import see_flow


def test_mean_displacements_become_colours():
    images = keras.Input((6, 6, 3))
    net = see_flow(keras.Model(images, keras.layers.Flatten()(images)), flow_stack=3)
    flow = np.random.default_rng(0).normal(0, 5, (2, 6, 6, 6)).astype(np.float32)
    across, down = flow[..., 0::2].mean(-1), flow[..., 1::2].mean(-1)
    expected = 128 + 4 * np.stack([across, down, abs(across) + abs(down)], -1)
    np.testing.assert_allclose(net.predict_on_batch(flow).reshape(expected.shape), expected, rtol=1e-5)
