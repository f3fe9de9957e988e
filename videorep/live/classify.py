"""Whole videos: what shards, percepts and evaluation would make of them, without writing any; and their surprises."""

import numpy as np
import tensorflow as tf

from videorep.config import PretrainConfig
from videorep.data.videos.find import printable
from videorep.live.perception import open_runs, shared_classes
from videorep.live.usual import open_surprise
from videorep.live.videos import cut_blocks, find_inputs, perceive_videos
from videorep.models.averaging import average_steps


def classify_videos(runs, names, *, backbones=(), direct=False, stop=(), progress=None):
    """Classifies videos; every one ends with probabilities or with the reason why not.

    Frames pass through the stages that the run's shards went through (frames per second, size, JPEG, convnet, storage),
    then blocks and averages are those of `evaluate_action_recognition`. Pieces of one path count as one video.

    Args:
        runs: Runs (`videorep.runs.Run`) of `videorep finetune`; the probabilities of several are averaged.
        names: Videos, folders, which are searched in depth, and lists (.csv) of path[,start,end][,label].
        backbones: Files of convnets that have moved since the percepts were built.
        direct: Leave out what only storage needs (JPEG, the percepts' dtype): a little other probabilities.
        stop: As soon as there is something in this list no further video is looked at, and its row says so.
        progress: A reporter of `videorep.progress`, or None for silence.
    Returns:
        (classes, rows): the K names, and one (path, (K,) float64 probabilities or None, reason or "") per video, in
        the order given. A video that is damaged, where the shards kept such, has both.
    Raises:
        RunError, BackboneError: see `open_runs` and `shared_classes`.
    """
    opened, classes = open_runs(runs, backbones, direct=direct), shared_classes(runs)
    own = {perception: [(block_classifier(run.model(), classes), {}) for run in runs] for perception, runs in opened}

    def take(perception, video, features, seconds):
        for classify, blocks in own[perception]:
            blocks.setdefault(video.file.path, []).append(classify(features))

    reasons = perceive_videos(own, find_inputs(names), take, "Classifying", progress, stop)
    made, rows = [blocks for members in own.values() for _, blocks in members], []
    for path, reason in reasons.items():
        each = [np.concatenate(blocks[path]).mean(axis=0) for blocks in made if path in blocks]
        rows.append((printable(path), np.mean(each, axis=0) if len(each) == len(runs) else None, reason))
    return classes, rows


def surprise_videos(run, names, *, ahead=None, backbones=(), direct=False, stop=(), progress=None):
    """Measures how much of a surprise every frame of videos is to a predictor; no label is needed.

    Frames pass through the stages that the run's shards went through; the encoder's state is carried on from the first
    frame of a video, or of a piece of one, to its last.

    Args:
        run: Run (`videorep.runs.Run`) of `videorep pretrain` on percepts.
        names, backbones, direct, stop, progress: As for `classify_videos`.
        ahead: See `videorep.live.usual.open_surprise`.
    Returns:
        One (path, (N, 2) float64 or None, reason or "") per video, in the order given: seconds from the beginning of
        the video, and surprise, of every frame that was predicted.
    Raises:
        RunError, ConfigError, OutputError, BackboneError: see `open_runs` and `open_surprise`.
    """
    [(perception, _)] = open_runs([run], backbones, (PretrainConfig,), direct)
    surprise, made, rows = open_surprise(run, ahead, progress), {}, []

    def take(_, video, features, seconds):
        surprises = surprise.measure(features)
        frames = np.stack([seconds, surprises], axis=1)[~np.isnan(surprises)]
        made.setdefault(video.file.path, []).append(frames)

    for path, reason in perceive_videos([perception], find_inputs(names), take, "Watching", progress, stop).items():
        frames = np.concatenate(made[path]) if path in made else np.zeros((0, 2))
        if not (len(frames) or reason):
            reason = "too short: none of its frames was predicted"
        rows.append((printable(path), frames if len(frames) else None, reason))
    return rows


def block_classifier(model, classes):
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
