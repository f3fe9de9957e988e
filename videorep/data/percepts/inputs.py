"""What a convnet sees of a video's frames, one after another: scaled, cut, as stacks of optical flow."""

import collections
import itertools

import numpy as np
import tensorflow as tf

from videorep.data.percepts.flow import flow_field
from videorep.data.percepts.frames import crop_frame, cut_centre, scale_frame


class FrameInputs:
    """The inputs of a convnet that sees `size` x `size` pixels: frames, or stacks of `flow_stack` flow fields.

    They are those of `videorep.data.percepts.frames.read_batches`. Threads may share one.
    """

    def __init__(self, size, flow_stack=0):
        self._size, self._stack = size, flow_stack
        self._scale = tf.function(lambda frame: scale_frame(frame, size), [tf.TensorSpec((None, None, 3), tf.uint8)])

    @property
    def item_bytes(self):
        """The size of one input."""
        return self._size**2 * (2 * self._stack * 4 or 3)

    def see(self, frame):
        """A frame (H, W, 3) uint8 RGB as the convnet takes it, not yet cut where it sees flow."""
        if self._stack:
            return self._scale(frame).numpy()
        return crop_frame(frame, self._size).copy()  # no view, which would hold the whole frame

    def field(self, first, second):
        """The flow (S, S, 2) float32 between two frames that were seen."""
        return cut_centre(flow_field(first, second), self._size).numpy()

    def of(self, frames):
        """Yields one input for each of more than one frames: (S, S, 3) uint8, or (S, S, 2L) float32.

        The last field stands for all that would follow it.
        """
        inputs = map(self.see, frames)
        return self._stacks(itertools.starmap(self.field, itertools.pairwise(inputs))) if self._stack else inputs

    def _stacks(self, fields):
        recent = collections.deque(maxlen=self._stack)
        for field in fields:
            recent.append(field)
            if len(recent) == self._stack:
                yield np.concatenate(recent, axis=-1)
        last = list(recent)[-1:]
        for _ in range(self._stack * len(last)):
            recent.append(*last)
            if len(recent) == self._stack:
                yield np.concatenate(recent, axis=-1)

    def receive(self, answers):
        """Yields the inputs of the frames that a worker sends, then its result; `receive` of `WorkerPool.stream`."""
        result = None

        def frames():
            nonlocal result
            for is_last, answer in answers:
                if is_last:
                    result = answer
                else:
                    size, data = answer
                    yield np.frombuffer(data, np.uint8).reshape(*size, 3)

        yield from self.of(frames())
        yield result


class ReceivedInputs:
    """The inputs of one video out of `WorkerPool.stream`: `count` of them, and when they are used up, the `result`."""

    def __init__(self, items):
        self._items, self.count, self.result = items, 0, None

    def __iter__(self):
        for item in self._items:
            if isinstance(item, np.ndarray):
                self.count += 1
                yield item
            else:
                self.result = item
