"""Clip shards as labelled network inputs for training a convnet: random stacks of flow, or random frames."""

import numpy as np
import tensorflow as tf

from videorep.data.batches.windows import ShuffledOrder
from videorep.data.percepts.flow import require_longer, stack_fields
from videorep.data.percepts.frames import cut_centre, scale_frame
from videorep.data.python_functions import ReadableDataset, call_python
from videorep.data.sampling import make_generator, spread
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.record_reader import RecordReader
from videorep.data.shards.verify import require_sound
from videorep.errors import ShardError

PLACE_STREAM = 3  # keeps the random places of stacks apart from the order of the clips
STACKS_PER_CLIP = 25  # that evaluation looks at, spread evenly (Simonyan and Zisserman)


class LabelledStacks:
    """Stacks of flow fields, or single frames, with the label of their clip.

    Args:
        path: Folder of labelled clip shards.
        split: Name of the split.
        size: S, side of the network's input.
        flow_stack: L for (S, S, 2L) float32 flow stacks, 0 for (S, S, 3) uint8 frames.
        hashed: False leaves the comparison of hashes out, for a dry run.
    Attributes:
        labels: Class names.
        clips: How many clips there are.
        stacks: How many stacks evaluation looks at.
        clip_paths, clip_labels: The path of each clip's video, and its label.
        provenance: What a run records of the data.
    Raises:
        ShardError: no such shards, damaged ones, clips without a label, or no clip that is long enough.
    """

    def __init__(self, path, split, size, flow_stack, hashed=True):
        dataset = load_dataset(path)
        require_sound(dataset, split, hashed)
        self._reader, self._size, self._stack = RecordReader(dataset, split), size, flow_stack
        if dataset.kind != "clips" or (self._reader.index["label"] < 0).any():
            raise ShardError(
                f"expected labelled clips in {path}, received {dataset.kind} or clips without a label; "
                "build clip shards with --labels"
            )
        require_longer(path, self._reader.index["frames"], flow_stack)
        self.labels, self.clips = dataset.labels, len(self._reader.index)
        self.clip_paths = [dataset.sources[number]["path"] for number in self._reader.index["source"]]
        self.clip_labels = np.asarray(self._reader.index["label"])
        self.stacks = int(np.minimum(self._reader.index["frames"], STACKS_PER_CLIP).sum())
        self.provenance = dataset.provenance | {"split": split, "clips": self.clips}

    def training(self, batch_size, seed, start_step=0):
        """Endless batches {"frames": (B, S, S, C), "label": (B,) int32}, beginning with that of step `start_step`.

        Every clip once per epoch, in a new order: at a random frame, cropped at a random place, half of them mirrored.
        """
        order = ShuffledOrder(self.clips, seed)

        def place(draw):
            number = order.draw(int(draw))[0]
            generator = make_generator(seed, PLACE_STREAM, int(draw))
            start = generator.integers(self._reader.index[number]["frames"])
            return self._frames(number, start), number, generator.random(2), generator.random() < 0.5

        def load(draw):
            types = (tf.uint8, tf.int64, tf.float64, tf.bool)
            frames, number, corner, mirror = call_python(place, [draw], types)
            view = self._view(frames)
            view = self._crop(view, tf.ensure_shape(corner, [2]))
            return self._labelled(tf.cond(mirror, lambda: self._mirror(view), lambda: view), number)

        draws = tf.data.Dataset.counter(start_step * batch_size)
        batches = draws.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size, True).prefetch(2)
        return ReadableDataset(batches)

    def evaluation(self, batch_size):
        """Finite batches with "clip" (B,) besides: 25 central crops of every clip, fewer of a shorter one, in order."""
        frames = self._reader.index["frames"]
        places = [(n, start) for n, count in enumerate(frames) for start in spread(int(count), STACKS_PER_CLIP)]

        def load(place):
            frames = call_python(self._frames, [place[0], place[1]], tf.uint8)
            view = cut_centre(self._view(frames), self._size)
            return self._labelled(view, place[0]) | {"clip": place[0]}

        places = tf.data.Dataset.from_tensor_slices(np.array(places, np.int64))
        batches = places.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size).prefetch(2)
        return ReadableDataset(batches)

    def average(self, predict, batch_size, advance=None):
        """The mean (clips, K) over each clip's stacks, those of `evaluation`, of `predict`: (B, K) for (B, S, S, C).

        `advance` is told of every number of stacks that are done.
        """
        totals, counts = 0.0, np.zeros((self.clips, 1))
        for batch in self.evaluation(batch_size):
            clip, predicted = batch["clip"].numpy(), np.asarray(predict(batch["frames"]))
            if np.isscalar(totals):
                totals = np.zeros((self.clips, predicted.shape[1]))
            np.add.at(totals, clip, predicted)
            np.add.at(counts, clip, 1)
            if advance:
                advance(len(clip))
        return totals / counts

    def _frames(self, number, start):
        return self._reader.clip_frames(number, range(start, start + self._stack + 1))

    def _view(self, frames):
        """The whole network input, uncropped, (H, W, C), of (n, H, W, 3) frames."""
        frames = tf.ensure_shape(frames, [None, None, None, 3])
        if not self._stack:
            return scale_frame(frames[0], self._size)

        def scale(frame):
            return scale_frame(frame, self._size)

        frames = tf.map_fn(scale, frames, fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8))
        stack = call_python(lambda frames: stack_fields(frames, self._stack), [frames], tf.float32)
        return tf.ensure_shape(stack, [None, None, 2 * self._stack])

    def _crop(self, view, corner):
        room = tf.cast(tf.shape(view)[:2] - self._size + 1, tf.float64)
        top, left = tf.unstack(tf.cast(corner * room, tf.int32))
        cropped = view[top : top + self._size, left : left + self._size]
        return tf.ensure_shape(cropped, (self._size, self._size, view.shape[-1]))

    def _mirror(self, view):
        """Left becomes right; what moved to the left moves to the right."""
        if not self._stack:
            return view[:, ::-1]
        return view[:, ::-1] * tf.tile([-1.0, 1.0], [self._stack])

    def _labelled(self, view, number):
        labels = tf.constant(self._reader.index["label"], tf.int32)
        return {"frames": view, "label": tf.gather(labels, tf.ensure_shape(number, []))}
