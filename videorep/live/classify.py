"""Classifies whole videos: what shards, percepts and evaluation would make of them, without writing any."""

import numpy as np
import tensorflow as tf

from videorep.data.videos.find import printable
from videorep.live.perception import open_classifiers
from videorep.live.videos import cut_blocks, find_inputs, perceive_videos
from videorep.models.averaging import average_steps


def classify_videos(runs, names, *, backbones=(), progress=None):
    """Classifies videos; every one ends with probabilities or with the reason why not.

    Frames pass through the stages that the run's shards went through (frames per second, size, JPEG, convnet, storage),
    then blocks and averages are those of `evaluate_action_recognition`. Pieces of one path count as one video.

    Args:
        runs: Runs (`videorep.runs.Run`) of `videorep finetune`; the probabilities of several are averaged.
        names: Videos, folders, which are searched in depth, and lists (.csv) of path[,start,end][,label].
        backbones: Files of convnets that have moved since the percepts were built.
        progress: A reporter of `videorep.progress`, or None for silence.
    Returns:
        (classes, rows): the K names, and one (path, (K,) float64 probabilities or None, reason or "") per video, in
        the order given. A video that is damaged, where the shards kept such, has both.
    Raises:
        RunError, BackboneError: see `open_classifiers`.
    """
    classes, opened = open_classifiers(runs, backbones)
    own = {perception: [(_block_classifier(model, classes), {}) for model in models] for perception, models in opened}

    def take(perception, video, features):
        for classify, blocks in own[perception]:
            blocks.setdefault(video.file.path, []).append(classify(features))

    reasons = perceive_videos(own, find_inputs(names), take, "Classifying", progress)
    made, rows = [blocks for members in own.values() for _, blocks in members], []
    for path, reason in reasons.items():
        each = [np.concatenate(blocks[path]).mean(axis=0) for blocks in made if path in blocks]
        rows.append((printable(path), np.mean(each, axis=0) if len(each) == len(runs) else None, reason))
    return classes, rows


def _block_classifier(model, classes):
    """A function of a video's features (T, D) that gives the probabilities (N, K) of its N blocks."""
    config, order = model.config, [model.config.classes.index(name) for name in classes]
    spec = [tf.TensorSpec((None, config.block[0], config.features))]
    predict = tf.function(lambda frames: model({"frames": frames}, training=False), spec)

    def classify(features):
        blocks = cut_blocks(features, *config.block)
        return np.concatenate([average_steps(predict(part).numpy().astype(np.float64), mask) for part, mask in blocks])[
            :, order
        ]

    return classify
