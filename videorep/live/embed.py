"""Embeddings of videos: what a run's encoder knows of them."""

import warnings

import numpy as np
import tensorflow as tf

from videorep.config import FinetuneConfig, PretrainConfig, require
from videorep.data.shards.hashes import hash_file
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.record_reader import RecordReader
from videorep.data.shards.verify import require_sound
from videorep.data.videos.find import printable
from videorep.errors import RunError, ShardError, VideorepWarning
from videorep.evaluation.data_checks import compare_backbones, require_finite
from videorep.live.embeddings import PER, Embeddings
from videorep.live.perception import open_runs
from videorep.live.videos import cut_blocks, find_inputs, perceive_videos
from videorep.models.encoding import top_states
from videorep.progress import SilentProgress


def embed_videos(run, names, *, per="video", backbones=(), direct=False, progress=None):
    """Embeds videos; every one ends with a row or with the reason why not.

    The embedding of a block is h of the encoder's top layer after the block's last frame. Blocks are those that the run
    was trained on; frames pass through the stages of its shards, as in `classify_videos`.

    Args:
        run: Run (`videorep.runs.Run`) of `videorep pretrain` or `videorep finetune` on percepts.
        names, backbones, direct, progress: As for `classify_videos`.
        per: "video": a row is the mean over a video's blocks; "block": a block's; "frame": h after a frame of a block.
    Returns:
        (Embeddings, {path: what is wrong with it}): rows in the order of the videos and of time.
    Raises:
        RunError, BackboneError: the run has no encoder, or what its videos went through cannot be repeated.
    """
    [(perception, _)] = open_runs([run], backbones, (PretrainConfig, FinetuneConfig), direct)
    rows = _Rows(run, per)

    def take(_, video, features, seconds):
        rows.add(printable(video.file.path), video.label or "", features)

    reasons = perceive_videos([perception], find_inputs(names), take, "Embedding", progress)
    return rows.embeddings(), {printable(path): reason for path, reason in reasons.items() if reason}


def embed_shards(run, folder, *, split=None, per="video", progress=None):
    """Embeds the videos of a split of percept shards, of all where None, labelled or not; the rest as `embed_videos`.

    Returns:
        Embeddings: rows in the order of the shards.
    Raises:
        RunError: the run has no encoder, or the percepts do not fit it.
        ShardError: shards that cannot be read or hold NaN.
    """
    dataset, rows = load_dataset(folder), _Rows(run, per)
    if dataset.kind != "percepts":
        raise ShardError(f"expected percepts in {folder}, received {dataset.kind}; name percepts or videos")
    if dataset.features != run.config.model.features:
        raise RunError(
            f"expected percepts of {run.config.model.features} features, as {run.path} was trained on, received "
            f"{folder} with {dataset.features}; name percepts of the same backbone"
        )
    for doubt in compare_backbones(run, dataset):
        warnings.warn(doubt, VideorepWarning, stacklevel=2)
    for each in dataset.splits if split is None else [split]:
        require_sound(dataset, each)
        reader = RecordReader(dataset, each)
        with (progress or SilentProgress()).task("Embedding", len(reader.index), "clips") as advance:
            for number, row in enumerate(reader.index):
                path = dataset.sources[row["source"]]["path"]
                features = reader.percept_windows([number], [0], int(row["frames"])).astype(np.float32)
                require_finite(features, folder, lambda _, path=path: path)
                rows.add(path, dataset.labels[row["label"]] if row["label"] >= 0 else "", features[0])
                advance(1)
    return rows.embeddings()


class Encoder:
    """What the encoder of a run makes of the features of a video, or of a piece of one."""

    def __init__(self, run, per):
        require(per in PER, "per", f"one of {', '.join(PER)}", per)
        config = run.config.model
        if not isinstance(run.config, (PretrainConfig, FinetuneConfig)) or config.name == "single-frame":
            raise RunError(
                f"expected a run with an encoder, received {run.path}, a {run.config.kind} run of frames alone; name a "
                "run of videorep pretrain, or of videorep finetune --model lstm"
            )
        model, self._per = run.model(), per
        pretrained = isinstance(run.config, PretrainConfig)
        self._block = (config.input_frames, run.config.data.stride) if pretrained else config.block
        spec = [tf.TensorSpec((None, self._block[0], config.features))]
        self._states = tf.function(lambda frames: top_states(model, frames), spec)

    def encode(self, features):
        """Rows (N, units) of features (T, D): one per frame of every block where `per` is "frame", else per block."""
        rows = []
        for blocks, real in cut_blocks(features, *self._block):
            states = self._states(blocks).numpy()
            last = states[np.arange(len(real)), real.sum(axis=1) - 1]
            rows.append(states[real] if self._per == "frame" else last)
        return np.concatenate(rows)


class _Rows:
    """Embeds one video, or piece of one, after another; pieces of one path and label are one video."""

    def __init__(self, run, per):
        self._run, self._per, self._encoder, self._made = run, per, Encoder(run, per), {}

    def add(self, path, label, features):
        """Embeds the features (T, D) of a video or piece."""
        self._made.setdefault((path, label), []).append(self._encoder.encode(features))

    def embeddings(self):
        """`Embeddings` of all that were added."""
        rows = {video: np.concatenate(parts) for video, parts in self._made.items()}
        if self._per == "video":
            rows = {video: each.mean(axis=0, keepdims=True) for video, each in rows.items()}
        values = np.concatenate([np.zeros((0, self._run.config.model.units[-1]), np.float32), *rows.values()])
        paths, labels = ([video[place] for video, each in rows.items() for _ in each] for place in range(2))
        return Embeddings(values, paths, labels, hash_file(self._run.model_path), self._per)
