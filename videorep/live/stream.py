"""Classifiers that are fed one frame at a time and carry their state: every frame costs the same, without end."""

import time

import numpy as np
import tensorflow as tf
from keras import ops

from videorep.live.perception import open_classifiers


class Stream:
    """A `Classifier` that takes one frame's features at a time, and equals the model on the whole sequence."""

    def __init__(self, model):
        self.model, self._step = model, tf.function(self._advance)
        self.reset()

    def reset(self):
        """Forgets what went before."""
        self._states = [lstm.cell.get_initial_state(1) for lstm in self.model.lstms]

    def step(self, features):
        """Takes the features (D,) of the next frame; the class probabilities (K,) after it, float32."""
        probabilities, self._states = self._step(tf.constant(features[None], tf.float32), self._states)
        return probabilities.numpy()[0]

    def _advance(self, features, states):
        values = self.model.standardisation(features) if self.model.standardisation else features
        carried = []
        for lstm, state in zip(self.model.lstms, states, strict=True):
            carried.append(list(lstm.cell.step(values, state)))
            values = ops.cast(carried[-1][0], lstm.compute_dtype)
        return self.model.get_layer("probabilities")(values), carried


class LiveClassifier:
    """One or several runs that watch a video frame by frame.

    Each frame costs one call of each convnet and one step of each LSTM, whatever has gone before; memory does not grow.
    Unlike in `classify_videos`, frames do not pass through JPEG, and the state is carried on, not begun anew with every
    block.

    Args:
        runs: Runs (`videorep.runs.Run`) of `videorep finetune`; the probabilities of several are averaged.
        backbones: Files of convnets that have moved since.
    Attributes:
        classes: K names.
        fps: Frames per second that the first run was trained on; None where it was as filmed.
        seconds: {"backbone", "step"}: what the last frame took, of scaling and convnet, and of the LSTM.
    Raises:
        RunError, BackboneError: see `videorep.live.perception.open_classifiers`.
    """

    def __init__(self, runs, backbones=()):
        self.classes, opened = open_classifiers(runs, backbones)
        self._views = [(perception, [Stream(model) for model in models]) for perception, models in opened]
        self.seconds, self.fps = {"backbone": 0.0, "step": 0.0}, opened[0][0].stages.clips.fps

    def reset(self):
        """Forgets what went before: the next frame is the first one of another video."""
        for perception, streams in self._views:
            for each in (perception, *streams):
                each.reset()

    def step(self, frame):
        """Takes the next frame.

        Args:
            frame: (H, W, 3) uint8, RGB, of any size.
        Returns:
            (K,) float64, the probabilities of `classes` after this frame; None as long as a run that sees stacks of
            optical flow lacks the frames of a whole one.
        """
        begun, seen, made = time.perf_counter(), [perception.follow(frame) for perception, _ in self._views], []
        extracted = time.perf_counter()
        for features, (_, streams) in zip(seen, self._views, strict=True):
            for stream in streams if features is not None else []:
                named = dict(zip(stream.model.config.classes, stream.step(features).tolist(), strict=True))
                made.append([named[name] for name in self.classes])
        self.seconds = {"backbone": extracted - begun, "step": time.perf_counter() - extracted}
        return None if any(features is None for features in seen) else np.mean(made, axis=0)
