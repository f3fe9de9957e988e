"""A run's checkpoints: found by the files that lie there, looked at before they are kept and before training goes on.

TensorFlow keeps a checksum of every tensor and of every block of the index beside them, so a damaged file is not read.
"""

import dataclasses
import json
import math
import re
import shutil
import warnings

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from videorep.errors import RunError, VideorepWarning
from videorep.runs import STATE
from videorep.storage import write_text_durably
from videorep.writing import written

KEPT = 2
FILES = re.compile(r"ckpt-(\d+)(\.index|\.data-.*|_temp.*)")
# What TensorFlow raises where a file is missing, cut off or damaged; DecodeError where the damage has a right checksum.
UNREADABLE = (tf.errors.OpError, OSError, ValueError, AssertionError, LookupError, RuntimeError, TypeError, DecodeError)


@dataclasses.dataclass
class Position:
    """How far training is: steps, seconds, and the sums {name: total} of the `count` steps since the last report."""

    step: int = 0
    seconds: float = 0.0
    totals: dict = dataclasses.field(default_factory=dict)
    count: int = 0


class Checkpoints:
    """The newest sound checkpoints of a run: ckpt-STEP.index and ckpt-STEP.data-...

    Args:
        folder: Path of the folder, which need not exist.
        variables: tf.Variables of model and optimizer, in an order that the run's settings decide.
        steps: Steps of the whole training.
        writes: Whether `save` writes; it looks at the weights in any case.
    """

    def __init__(self, folder, variables, steps, writes=True):
        self._folder, self.variables, self._steps, self._writes = folder, variables, steps, writes
        self._step = tf.Variable(0, dtype=tf.int64)
        self._seconds = tf.Variable(0.0, dtype=tf.float64)
        self._unreported = tf.Variable(json.dumps([{}, 0]))
        self._checkpoint = tf.train.Checkpoint(
            variables=variables, step=self._step, seconds=self._seconds, unreported=self._unreported
        )
        self._sound = []  # Steps of the checkpoints that this process wrote or went back to.

    def require_finite(self, figures, step):
        """Raises a RunError where one of the figures {name: number} is none; it names the newest sound checkpoint."""
        received = [f"{name} = {value}" for name, value in figures.items() if not math.isfinite(value)]
        if received:
            raise RunError(self._describe_divergence("a finite loss", received[0], step))

    def save(self, position):
        """Writes a checkpoint, then removes all but the newest sound ones.

        Raises:
            RunError: a weight or a sum is no finite number; nothing was written, the older ones are kept.
            OutputError: it cannot be written.
        """
        totals = {name: float(total) for name, total in position.totals.items()}
        self.require_finite(totals, position.step)
        if not self._is_finite():
            raise RunError(self._describe_divergence("finite weights", "some that are not", position.step))
        if not self._writes:
            return
        # of every Python number that TensorFlow is given it keeps a tensor, of arrays none
        self._step.assign(np.asarray(position.step))
        self._seconds.assign(np.asarray(position.seconds))
        self._unreported.assign(json.dumps([totals, position.count]))
        with written(f"a checkpoint into {self._folder}"):
            try:
                self._checkpoint.write(str(self._path(position.step)))
            except tf.errors.OpError:
                self._remove_temporary()
                raise
            self._sound = [*self._sound, position.step][-KEPT:]
            self._remove(lambda step, _: step not in self._sound)
            # By which TensorFlow's tools find the last one; here it only tells that one was kept.
            names = [self._path(step).name for step in self._sound]
            lines = [f'model_checkpoint_path: "{names[-1]}"', *(f'all_model_checkpoint_paths: "{n}"' for n in names)]
            write_text_durably(self._folder / STATE, "\n".join(lines) + "\n")

    def restore(self):
        """Goes back to the newest checkpoint that can be read; warns where that is not the newest that lies there.

        Returns:
            Position; of step 0 where nothing was kept yet.
        Raises:
            RunError: there are checkpoints, but none can be read; or one is of other settings.
        """
        with written(f"checkpoints into {self._folder}"):
            self._remove_temporary()
        damaged = []
        for step in self._steps_there():
            position = self._read(step)
            if position is not None:
                self._sound = [step]
                if damaged:
                    warnings.warn(
                        f"{', '.join(damaged)} in {self._folder} cannot be read, or is not finite; going on from "
                        f"{self._path(step).name}",
                        VideorepWarning,
                        stacklevel=2,
                    )
                return position
            damaged.append(self._path(step).name)
        if damaged or (self._folder / STATE).exists():
            raise RunError(
                f"expected a readable checkpoint in {self._folder}, received {', '.join(damaged) or 'none'}"
                f"{', damaged' if damaged else ' though one was kept'}; train again with --overwrite"
            )
        return Position()

    def _read(self, step):
        """The position of a checkpoint, its weights assigned; None where it cannot be read."""
        path = str(self._path(step))
        if not all(file.is_file() for file, of, _ in self._files() if of == step):
            return None  # A pipe in the place of a file would be waited for, for ever.
        try:
            self._require_shapes(path, tf.train.load_checkpoint(path))
            self._checkpoint.read(path).assert_existing_objects_matched()
            totals, count = json.loads(self._unreported.numpy())
            position = Position(int(self._step), float(self._seconds), dict(totals), int(count))
            is_finite = self._is_finite() and all(map(math.isfinite, (position.seconds, *position.totals.values())))
        except UNREADABLE:
            return None
        if position.step != step or step > self._steps:
            raise RunError(
                f"expected {path} to be of step {step} and of at most {self._steps}, received one of step "
                f"{position.step}; train again with --overwrite"
            )
        return position if is_finite else None

    def _require_shapes(self, path, reader):
        """Raises a RunError where a readable checkpoint is of another model or optimizer."""
        wanted = {
            f"variables/{number}/.ATTRIBUTES/VARIABLE_VALUE": (variable.shape.as_list(), variable.dtype)
            for number, variable in enumerate(self.variables)
        }
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        there = {name: (shapes[name], dtypes[name]) for name in shapes if name.startswith("variables/")}
        for name in sorted(wanted.keys() | there.keys()):
            if wanted.get(name) != there.get(name):
                raise RunError(
                    f"expected {path} to hold the weights of this model, received others ({_describe(there.get(name))} "
                    f"where {_describe(wanted.get(name))} is wanted); train again with --overwrite"
                )

    def _describe_divergence(self, expected, received, step):
        sound = [each for each in self._sound if self._path(each).with_suffix(".index").is_file()]
        kept = f" (the checkpoint of step {sound[-1]} in {self._folder} is sound)" if sound else ""
        return f"expected {expected}, received {received} by step {step}; lower --learning-rate and train again{kept}"

    def _is_finite(self):
        floating = (variable for variable in self.variables if variable.dtype.is_floating)
        return all(bool(tf.reduce_all(tf.math.is_finite(variable))) for variable in floating)

    def _path(self, step):
        return self._folder / f"ckpt-{step}"

    def _files(self):
        """(path, step, end of the name) of every file or folder of a checkpoint."""
        there = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        matches = ((path, FILES.fullmatch(path.name)) for path in there)
        return [(path, int(match[1]), match[2]) for path, match in matches if match]

    def _steps_there(self):
        return sorted((step for _, step, end in self._files() if end == ".index"), reverse=True)

    def _remove_temporary(self):
        """Removes what a process left behind that was killed while it wrote."""
        self._remove(lambda _, end: end.startswith("_temp"))

    def _remove(self, is_needless):
        for path, step, end in self._files():
            if is_needless(step, end):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _describe(value):
    return "nothing" if value is None else f"{value[1].name} of shape {value[0]}"
