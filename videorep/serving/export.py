"""A run as a SavedModel that TensorFlow alone can load."""

import json
import os
import shutil
from pathlib import Path

import tensorflow as tf

from videorep.config import FinetuneConfig
from videorep.errors import OutputError
from videorep.runs import load_run
from videorep.storage import require_local, write_text_durably


class ServedClassifier(tf.Module):
    """Video-level classification: block probabilities averaged over steps, then over blocks (paper section 3.2).

    A video of at least `block_frames` frames is cut into blocks with stride `block_stride`; a shorter one is one
    block, whose padded steps are left out of the average.
    """

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config
        self.variables_ = [variable.value for variable in model.variables]
        self.classes = tf.constant(self.config.classes)

    @tf.function
    def __call__(self, frames):
        size, stride = self.config.block
        batch, length = tf.shape(frames)[0], tf.shape(frames)[1]
        padded = tf.pad(frames, [[0, 0], [0, tf.maximum(size - length, 0)], [0, 0]])
        blocks = tf.signal.frame(padded, size, stride, axis=1)
        probabilities = self.model({"frames": tf.reshape(blocks, (-1, size, self.config.features))}, training=False)
        mask = tf.cast(tf.range(size) < length, probabilities.dtype)[None, :, None]
        per_block = tf.reduce_sum(probabilities * mask, axis=1) / tf.reduce_sum(mask)
        per_video = tf.reduce_mean(tf.reshape(per_block, (batch, -1, len(self.config.classes))), axis=1)
        best = tf.argmax(per_video, axis=-1, output_type=tf.int32)
        return {"probabilities": per_video, "index": best, "label": tf.gather(self.classes, best)}


class ServedEncoderDecoder(tf.Module):
    """Reconstruction and future of a batch of frame sequences, the model fed with its own output."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config
        self.variables_ = [variable.value for variable in model.variables]

    @tf.function
    def __call__(self, frames):
        return self.model({"frames": frames}, training=False)


def export(run_path, out, version=None, overwrite=False):
    """Writes `out/VERSION/saved_model.pb`, as TensorFlow Serving expects it.

    The signature `serving_default` takes "frames", (B, T, D) float32 in the units that the run was trained on (percepts
    as they are, pixels in [0, 1]); a classifier accepts any T and gives "probabilities" (B, K), "index" (B,) and
    "label" (B,); an encoder-decoder gives its "reconstruction" and/or "future".

    Args:
        run_path: Folder of a finished run.
        out: Base folder of the model's versions.
        version: Positive int; by default one more than the newest there.
        overwrite: Whether to replace that version.
    Returns:
        dict: path, version, inputs and outputs.
    Raises:
        RunError: the run is not finished.
        OutputError: the version exists, cannot be written, or would lie at a URL.
    """
    run = load_run(run_path)
    require_local(out, OutputError)
    target = _target(Path(out), version, overwrite)
    model = run.model()
    is_classifier = isinstance(run.config, FinetuneConfig)
    served = ServedClassifier(model) if is_classifier else ServedEncoderDecoder(model)
    steps = None if is_classifier else model.config.input_frames
    signature = tf.TensorSpec((None, steps, model.config.features), tf.float32, name="frames")
    temporary = target.with_name(f"unfinished-{target.name}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        tf.saved_model.save(served, str(temporary), signatures=served.__call__.get_concrete_function(signature))
        assets = temporary / "assets.extra"
        assets.mkdir()
        write_text_durably(assets / "run.json", json.dumps({"run": str(run.path), **run.provenance}, indent=2) + "\n")
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    except (OSError, tf.errors.OpError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise OutputError(
            f"expected to write a SavedModel into {target}, received: {error}; choose another --out"
        ) from error
    return {
        "path": str(target),
        "version": int(target.name),
        "input": f"frames (B, {steps or 'T'}, {model.config.features}) float32",
        "outputs": ["probabilities", "index", "label"] if is_classifier else list(model.config.branches),
    }


def _target(out, version, overwrite):
    if version is None:
        present = [int(path.name) for path in out.iterdir() if path.name.isdecimal()] if out.is_dir() else []
        version = max(present, default=0) + 1
    target = out / str(version)
    nearest = next(parent for parent in target.parents if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise OutputError(f"expected a folder that can be written, received {out}; choose another --out")
    if target.exists() and not overwrite:
        raise OutputError(
            f"expected a new version, received {target}, which exists; add --overwrite or choose another --version"
        )
    return target
