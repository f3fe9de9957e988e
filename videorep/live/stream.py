"""Classifiers that are fed one frame at a time and carry their state: every frame costs the same, without end."""

import time

import numpy as np
import tensorflow as tf
from keras import ops

from videorep.live.stages import open_groups


class Stream:
    """A classifier that takes one frame's features at a time; equals the model on the whole sequence.

    Args:
        model: `videorep.models.Classifier`.
    """

    def __init__(self, model):
        self._model = model
        self._step = tf.function(self._advance)
        self.reset()

    def reset(self):
        """Forgets what went before."""
        self._states = [lstm.cell.get_initial_state(1) for lstm in self._model.lstms]

    def step(self, features):
        """Takes the features (D,) of the next frame; the class probabilities (K,) after it, float32."""
        probabilities, self._states = self._step(tf.constant(features[None], tf.float32), self._states)
        return probabilities.numpy()[0]

    def _advance(self, features, states):
        model, carried = self._model, []
        values = model.standardisation(features) if model.standardisation else features
        for lstm, state in zip(model.lstms, states, strict=True):
            hidden, cell = lstm.cell.step(values, state)
            carried.append([hidden, cell])
            values = ops.cast(hidden, lstm.compute_dtype)
        return model.get_layer("probabilities")(values), carried


class LiveClassifier:
    """One or several runs that watch a video frame by frame.

    Each frame costs one call of each convnet and one step of each LSTM, whatever has gone before; memory does not grow.
    Unlike in `classify_videos`, frames do not pass through JPEG, and the state is carried on, not begun anew with every
    block.

        live = LiveClassifier([load_run("runs/classifier")])
        for frame in frames:
            probabilities = live.step(frame)

    Args:
        runs: Runs (`videorep.runs.Run`) of `videorep finetune`; the probabilities of several are averaged.
        backbones: Files of convnets that have moved since the percepts were built.
    Attributes:
        classes: K names.
        fps: Frames per second that the first run was trained on; None where it was as filmed.
        seconds: {"backbone", "step"}: what the last frame took, of scaling and convnet, and of the LSTM.
    Raises:
        RunError, BackboneError: see `videorep.live.stages.open_groups`.
    """

    def __init__(self, runs, backbones=()):
        self._views = [_View(group) for group in open_groups(runs, backbones)]
        self.classes, self.seconds = runs[0].config.model.classes, {"backbone": 0.0, "step": 0.0}
        self.fps = self._views[0].perception.stages.clips.fps

    def reset(self):
        """Forgets what went before: the next frame is the first one of another video."""
        for view in self._views:
            view.reset()

    def step(self, frame):
        """Takes the next frame.

        Args:
            frame: (H, W, 3) uint8, RGB, of any size.
        Returns:
            (K,) float64, the probabilities of `classes` after this frame; None as long as a run that sees stacks of
            optical flow lacks the frames of a whole one.
        """
        begun = time.perf_counter()
        seen = [view.see(frame) for view in self._views]
        extracted = time.perf_counter()
        made = [
            view.step(features, self.classes)
            for view, features in zip(self._views, seen, strict=True)
            if features is not None
        ]
        self.seconds = {"backbone": extracted - begun, "step": time.perf_counter() - extracted}
        return np.mean(np.concatenate(made), axis=0) if len(made) == len(self._views) else None


class _View:
    """One `Perception`, the last frame or fields that it needs, and the streams behind it."""

    def __init__(self, group):
        self.perception, self._runs = group.perception, group.runs
        self._streams = [Stream(model) for model in group.models]
        self.reset()

    def reset(self):
        self._last, self._fields = None, []
        for stream in self._streams:
            stream.reset()

    def see(self, frame):
        """The features (D,) of a frame, or of the stack that it completes; None without such."""
        view = self.perception.see(self.perception.resize(frame))
        if stack := self.perception.stack:
            if self._last is not None:
                self._fields = [*self._fields, self.perception.field(self._last, view)][-stack:]
            self._last = view
            if len(self._fields) < stack:
                return None
            view = np.concatenate(self._fields, axis=-1)
        return self.perception.extract([view], 1)[0]

    def step(self, features, classes):
        """The probabilities (R, K) of the R runs, in the order of `classes`."""
        each = [stream.step(features).astype(np.float64) for stream in self._streams]
        orders = [[run.config.model.classes.index(name) for name in classes] for run in self._runs]
        return np.stack([row[order] for row, order in zip(each, orders, strict=True)])
