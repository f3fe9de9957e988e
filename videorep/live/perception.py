"""From frames to what a classifier takes: cropped, stacked and seen by the convnet as builds of percepts do it."""

import collections
import concurrent.futures
import functools
import itertools

import cv2
import numpy as np
import tensorflow as tf

from videorep.data.percepts.build import to_storage
from videorep.data.percepts.flow import flow_field
from videorep.data.percepts.frames import crop_centre, cut_centre, scale_frame
from videorep.data.shards.images import decode_image
from videorep.data.threads import count_cores
from videorep.data.videos.decode import resize_frame
from videorep.models.pixels import to_unit_range

AHEAD = 4  # frames per thread that are ready before the convnet asks for them


class Perception:
    """The stages between frames and a classifier's features (T, D).

    Args:
        stages: `Stages`.
        net: `Backbone`, or None where the features are the pixels.
    Attributes:
        features: D.
    """

    def __init__(self, stages, net):
        self.stages, self._net = stages, net
        percepts = stages.percepts
        self.stack = percepts.flow_stack if percepts and percepts.stream == "flow" else 0
        self.features = int(np.prod(stages.frame_shape)) if net is None else net.features
        image = [tf.TensorSpec((None, None, 3), tf.uint8)]
        scale = scale_frame if self.stack else crop_centre
        self._scale = None if net is None else tf.function(lambda frame: scale(frame, net.size), image)

    def see(self, frame):
        """A frame (H, W, 3) uint8 as the convnet takes it, less the cutting where it sees flow; pixels flat, (D,)."""
        return frame.reshape(-1) if self._net is None else self._scale(frame).numpy()

    def field(self, first, second):
        """The flow between two frames that were seen: (S, S, 2)."""
        return cut_centre(flow_field(first, second), self._net.size).numpy()

    def resize(self, frame):
        """A frame (H, W, 3) uint8 RGB of any size as the clips have it; grey (H, W, 1) where the pixels were."""
        frame = resize_frame(frame, self.stages.frame_shape[:2] or self.stages.clips.size)
        return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None] if self.stages.frame_shape[-1:] == (1,) else frame

    def extract(self, inputs, batch_size):
        """Features (n, D) float32, as percepts store them, of n inputs; the convnet is called with whole batches."""
        batch = np.stack(inputs)
        if self._net is None:
            return to_unit_range(batch).numpy()
        whole = np.zeros((batch_size, *batch.shape[1:]), batch.dtype)
        whole[: len(batch)] = batch
        seen = self._net.extract(whole).numpy()[: len(batch)]
        return to_storage(seen, self.stages.percepts.dtype).astype(np.float32)

    def extract_clips(self, clips):
        """Features of whole clips, in batches that go across clips.

        Args:
            clips: Iterable of (name, JPEG images, (height, width)); it is read a little ahead.
        Yields:
            (name, (T, D) float32) of every clip, in order.
        """
        size, ends, rows = self.stages.percepts.batch_size if self._net else 32, collections.deque(), []
        with concurrent.futures.ThreadPoolExecutor(count_cores()) as threads:
            inputs = self._inputs(clips, ends, threads)
            while True:
                batch = list(itertools.islice(inputs, size))
                if batch:
                    rows.append(self.extract(batch, size))
                while ends and sum(map(len, rows)) >= ends[0][1]:
                    name, count = ends.popleft()
                    held = np.concatenate(rows)
                    rows = [held[count:]]
                    yield name, held[:count]
                if not batch:
                    return

    def _inputs(self, clips, ends, threads):
        """What the convnet sees of one clip after another; the name and length of those that are over go to `ends`."""
        channels = (self.stages.frame_shape or (3,))[-1]
        for name, images, size in clips:
            see = functools.partial(self._see_image, images, size, channels)
            if self.stack:
                field = functools.partial(lambda see, place: self.field(see(place), see(place + 1)), see)
                yield from stacks(_ahead(threads, field, max(1, len(images) - 1)), self.stack, len(images))
            else:
                yield from _ahead(threads, see, len(images))
            ends.append((name, len(images)))

    def _see_image(self, images, size, channels, place):
        """`see` of the JPEG at a place, or of the last one."""
        place = min(place, len(images) - 1)
        return self.see(decode_image(images[place], size, channels, f"frame {place}"))


def stacks(fields, flow_stack, frames):
    """Stacks of L fields (S, S, 2L), one per frame; the last field stands for all that would follow it.

    Args:
        fields: Iterable of the fields (S, S, 2) between `frames` frames; one of no motion for a single frame.
        flow_stack: L.
        frames: How many stacks there are to be.
    """
    recent, made = collections.deque(maxlen=flow_stack), 0
    for field in fields:
        recent.append(field)
        if len(recent) == flow_stack:
            yield np.concatenate(recent, axis=-1)
            made += 1
    while made < frames:
        recent.append(recent[-1])
        if len(recent) == flow_stack:
            yield np.concatenate(recent, axis=-1)
            made += 1


def _ahead(threads, function, count):
    """`function` of 0 to count - 1, in order, computed a little ahead."""
    pending = collections.deque()
    for number in range(count):
        pending.append(threads.submit(function, number))
        if len(pending) > AHEAD * count_cores():
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
