"""Keras' own fit on Moving MNIST as NumPy arrays; prints the mean loss of each third of the steps.

python fit_moving_mnist.py CONFIG.json, under the backend of KERAS_BACKEND; TensorFlow is needed by its own alone
"""

import json
import sys

import keras

if keras.backend.backend() != "tensorflow":
    sys.modules["tensorflow"] = None

from videorep.config import PretrainConfig
from videorep.config_values import from_dict, to_dict
from videorep.data import MovingMNIST
from videorep.models import build_model
from videorep.training.optimizers import build_optimizer


def fit(config):
    training, length = config.training, config.model.input_frames
    model = build_model(**to_dict(config.model), seed=training.seed, dtype=training.precision)
    optimizer = build_optimizer(training)
    optimizer.global_clipnorm = training.clip_norm
    model.compile(optimizer)
    digits = MovingMNIST("rendered", num_digits=2, frames=config.model.sequence_frames, seed=training.seed)
    third, losses = training.steps // 3, []
    for k in range(3):
        frames = digits.sequences(k * third * training.batch_size, third * training.batch_size)
        frames = frames.reshape(*frames.shape[:2], -1) / 255.0
        inputs, future = {"frames": frames[:, :length]}, frames[:, length:]
        history = model.fit(inputs, future, batch_size=training.batch_size, shuffle=False, verbose=0)
        losses += history.history["loss"]
    return losses


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        print(json.dumps(fit(from_dict(PretrainConfig, json.load(file)))))
