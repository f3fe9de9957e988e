"""Runs that watch a video together, frame by frame: classifiers say what it shows, predictors what is unusual in it."""

import time

import numpy as np

from videorep.config import FinetuneConfig, PretrainConfig
from videorep.live.perception import open_runs, shared_classes
from videorep.live.stream import Stream
from videorep.live.surprise import Surprise
from videorep.live.usual import open_surprise


class LiveRuns:
    """Classifiers and predictors of frames; each frame costs one call of each convnet and one step of each model.

    Unlike in `classify_videos`, frames do not pass through JPEG, and a classifier's state is carried on, not begun anew
    with every block. Memory does not grow.

    Args:
        runs: Runs (`videorep.runs.Run`) of `videorep finetune` and `pretrain`; several of one kind are averaged.
        backbones: Files of convnets that have moved since.
        kinds: Of the runs that are not refused.
        options: `ahead` and `progress`, see `videorep.live.usual.open_surprise`.
    Attributes:
        classes: K names; () without a classifier.
        views: [(perception, [(run, its `Stream` or `Surprise`), ...]), ...], one for all runs that share their stages.
        fps, every: Frames per second that the first run was trained on, or the step from one frame to the next; None
            where it was as filmed.
        seconds: {"backbone", "step"}: what the last frame took, of scaling and convnet, and of the LSTMs.
    Raises:
        RunError, BackboneError: see `videorep.live.perception.open_runs` and `videorep.live.usual.open_surprise`.
    """

    def __init__(self, runs, backbones=(), kinds=(FinetuneConfig, PretrainConfig), **options):
        opened = open_runs(runs, backbones, kinds)
        self.classes = shared_classes(runs)
        self.views = [(see, [(run, _open_stream(run, options)) for run in runs]) for see, runs in opened]
        self.seconds, clips = {"backbone": 0.0, "step": 0.0}, opened[0][0].stages.clips
        self.fps, self.every = clips.fps, clips.every

    def reset(self):
        """Forgets what went before: the next frame is the first one of another video."""
        for perception, members in self.views:
            for each in (perception, *(stream for _, stream in members)):
                each.reset()

    def step(self, frame):
        """Takes the next frame.

        Args:
            frame: (H, W, 3) uint8, RGB, of any size.
        Returns:
            (K,) float64, the probabilities of `classes` after this frame, and how much of a surprise it was, a float.
            None in place of either where no run gives it, or one lacks frames before this one: those of a whole stack
            of optical flow, those from which this one is predicted.
        """
        begun, seen = time.perf_counter(), [perception.follow(frame) for perception, _ in self.views]
        extracted, probabilities, surprises = time.perf_counter(), [], []
        for features, (_, members) in zip(seen, self.views, strict=True):
            for _, stream in members:
                made = None if features is None else stream.step(features)
                if isinstance(stream, Surprise):
                    surprises.append(made)
                else:
                    probabilities.append(made if made is None else self._in_order(stream, made))
        self.seconds = {"backbone": extracted - begun, "step": time.perf_counter() - extracted}
        return _mean(probabilities), _mean(surprises)

    def _in_order(self, stream, probabilities):
        named = dict(zip(stream.model.config.classes, probabilities.tolist(), strict=True))
        return [named[name] for name in self.classes]


class LiveClassifier(LiveRuns):
    """`LiveRuns` of `videorep finetune` alone."""

    def __init__(self, runs, backbones=()):
        super().__init__(runs, backbones, (FinetuneConfig,))

    def step(self, frame):
        """Takes the next frame (H, W, 3) uint8 RGB; the (K,) probabilities after it, or None: see `LiveRuns.step`."""
        return super().step(frame)[0]


class LiveSurprise(LiveRuns):
    """`LiveRuns` of `videorep pretrain` alone: future predictors or composites."""

    def __init__(self, runs, backbones=(), **options):
        super().__init__(runs, backbones, (PretrainConfig,), **options)

    def step(self, frame):
        """Takes the next frame (H, W, 3) uint8 RGB; how much of a surprise it was, or None: see `LiveRuns.step`."""
        return super().step(frame)[1]


def _open_stream(run, options):
    return Stream(run.model()) if isinstance(run.config, FinetuneConfig) else open_surprise(run, **options)


def _mean(made):
    return None if not made or any(each is None for each in made) else np.mean(made, axis=0)
