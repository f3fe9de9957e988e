"""Clip shards as one stream of network inputs: decoded in parallel, batched across videos, in a fixed order."""

import functools
import itertools

import numpy as np
import tensorflow as tf

from videorep.data.percepts.flow import flow_field
from videorep.data.python_functions import ReadableDataset, call_python
from videorep.data.shards.images import decode_image
from videorep.data.shards.parse import parse_clip
from videorep.data.threads import count_cores, map_ahead, without_tuning

PAPER_CROP = 224  # the paper cuts the central 224x224 ...
PAPER_SHORT_SIDE = 240  # ... out of frames of 240x320
PREFETCHED_BATCHES = 2
ADVICE = "videorep verify on the clip shards names the damage"


def read_batches(files, frame_counts, batch_size, size, flow_stack=0):
    """Streams the frames of clip shards, `frame_counts` in each file, through decoding, cropping and batching.

    A batch holds frames of consecutive videos, never of two shards: the last batch of each shard is filled up with
    zeros. So the batches of a shard, and the percepts computed from them, do not depend on where a build was resumed.

    Returns:
        Iterator of arrays (B, S, S, 3) uint8 RGB, or where `flow_stack` is L > 0 (B, S, S, 2L) float32 flow stacks; S
        is `size`, B `batch_size`, the same for every batch.
    """
    padding = [-count % batch_size for count in frame_counts]
    if not flow_stack:
        load = functools.partial(_load_frames, size=size)
        return map_ahead(load, _groups(_encoded_frames(files, padding), batch_size), count_cores())
    shards = tf.data.Dataset.from_tensor_slices((list(map(str, files)), np.array(padding, np.int64)))
    stacks = _flow_stacks(shards.flat_map(lambda file, pad: _flow_steps(file, pad, flow_stack)), size, flow_stack)
    return _arrays(stacks.batch(batch_size, drop_remainder=True).prefetch(PREFETCHED_BATCHES))


def crop_frame(image, size):
    """`crop_centre` of an array outside of graphs, without TensorFlow where nothing has to be scaled."""
    height, width = image.shape[:2]
    if min(height, width) != short_side(size):
        return _crop(size)(image).numpy()
    top, left = (height - size) // 2, (width - size) // 2
    return image[top : top + size, left : left + size]


@functools.cache
def _crop(size):
    return tf.function(lambda image: crop_centre(image, size), [tf.TensorSpec((None, None, 3), tf.uint8)])


def short_side(size):
    """Of an image from which a crop of `size` is cut."""
    return round(size * PAPER_SHORT_SIDE / PAPER_CROP)


def crop_centre(image, size):
    """The central `size` x `size` of an (H, W, C) uint8 image, scaled so that the paper's crop keeps its proportion.

    The paper cuts 224x224 out of 240x320: the shorter side is 15/14 of the crop. An image whose shorter side differs is
    scaled to that (bilinear, antialiased, aspect kept); a 240x320 frame under a 224x224 crop is not touched.
    """
    return cut_centre(scale_frame(image, size), size)


def scale_frame(image, size):
    """Scales an (H, W, C) uint8 image so that its shorter side suits a crop of `size`."""
    side = short_side(size)
    shape = tf.shape(image)[:2]
    shorter = tf.reduce_min(shape)

    def scaled():
        target = tf.cast(tf.round(tf.cast(shape, tf.float64) * side / tf.cast(shorter, tf.float64)), tf.int32)
        values = tf.image.resize(image, target, method="bilinear", antialias=True)
        return tf.saturate_cast(tf.round(values), tf.uint8)

    return tf.cond(tf.equal(shorter, side), lambda: image, scaled)


def cut_centre(image, size):
    """The central `size` x `size` of an image, (H, W, C) of any dtype."""
    height, width = tf.unstack(tf.shape(image)[:2])
    top, left = (height - size) // 2, (width - size) // 2
    return tf.ensure_shape(image[top : top + size, left : left + size], (size, size, image.shape[-1]))


def _decoded(frame):
    """A frame as `_clips` gives it, decoded: (H, W, 3) uint8 RGB; a grey one with three equal channels."""

    def decode(image, size, where):
        return decode_image(image, size, 3, where.decode("utf-8", "surrogateescape"))

    decoded = call_python(decode, [frame["image"], frame["size"], frame["where"]], tf.uint8)
    return tf.ensure_shape(decoded, (None, None, 3))


BLANK = {"image": "", "size": [0, 0], "where": ""}  # what fills up a shard's last batch


def _clips(file):
    """The frames of each clip of a shard, still encoded, with the size that the clip states and what errors call them:
    {"image": (T,) string, "size": (T, 2) int32, "where": (T,) string}."""

    def frames(number, serialized):
        clip = parse_clip(serialized)
        count = tf.size(clip["images"])
        record, places = tf.strings.as_string(number), tf.strings.as_string(tf.range(count))
        where = tf.strings.join([file, ": record ", record, ": frame ", places])
        size = tf.repeat([[clip["height"], clip["width"]]], count, axis=0)
        return {"image": clip["images"], "size": size, "where": where}

    return tf.data.TFRecordDataset(file, buffer_size=1 << 20).enumerate().map(frames)


def _arrays(stream):
    return ReadableDataset(without_tuning(stream), ADVICE).as_numpy_iterator()


def _encoded_frames(files, padding):
    """(image, size, where) of every frame of each shard, still encoded, then as many blank ones."""
    for file, blanks in zip(files, padding, strict=True):
        for clip in _arrays(_clips(str(file))):
            yield from zip(clip["image"], clip["size"], clip["where"], strict=True)
        yield from itertools.repeat(tuple(BLANK.values()), blanks)


def _groups(items, count):
    while group := list(itertools.islice(items, count)):
        yield group


def _load_frames(frames, size):
    """A batch (B, S, S, 3) of what `_encoded_frames` yields."""
    batch = np.zeros((len(frames), size, size, 3), np.uint8)
    for place, (image, shape, where) in enumerate(frames):
        if image:
            batch[place] = crop_frame(decode_image(image, shape, 3, where.decode("utf-8", "surrogateescape")), size)
    return batch


def _flow_steps(file, padding, flow_stack):
    """The fields that a shard's stacks need, one step per field, as the two frames that it lies between.

    A clip of T frames gives T stacks: stack t holds the fields t, ..., t + L - 1, and the last field stands for all
    that would follow it. (A single frame has the field of no motion.) "fresh" marks a field that must be computed,
    "complete" the last field of a stack. Padding steps are complete and never fresh.
    """

    def steps(frames):
        count = tf.size(frames["image"])
        number = tf.range(count + flow_stack - 1)
        first = tf.clip_by_value(number, 0, tf.maximum(count - 2, 0))
        second = tf.clip_by_value(number + 1, 0, count - 1)
        return tf.data.Dataset.from_tensor_slices(
            {
                "first": {key: tf.gather(values, first) for key, values in frames.items()},
                "second": {key: tf.gather(values, second) for key, values in frames.items()},
                "fresh": number < tf.maximum(count - 1, 1),
                "complete": number >= flow_stack - 1,
            }
        )

    blank = {"first": BLANK, "second": BLANK, "fresh": False, "complete": True}
    return _clips(file).flat_map(steps).concatenate(tf.data.Dataset.from_tensors(blank).repeat(padding))


def _flow_stacks(steps, size, flow_stack):
    def compute(first, second):
        frames = [scale_frame(_decoded(frame), size) for frame in (first, second)]
        return cut_centre(tf.ensure_shape(call_python(flow_field, frames, tf.float32), (None, None, 2)), size)

    def load(step):
        blank = tf.zeros((size, size, 2))
        field = tf.cond(step["fresh"], lambda: compute(step["first"], step["second"]), lambda: blank)
        return field, step["fresh"], step["complete"]

    def push(recent, step):
        field, fresh, complete = step
        newest = tf.where(fresh, field, recent[..., -2:])
        recent = tf.concat([recent[..., 2:], newest], axis=-1)
        return recent, (recent, complete)

    fields = steps.map(load, num_parallel_calls=count_cores())
    stacks = fields.scan(tf.zeros((size, size, 2 * flow_stack)), push)
    complete_stacks = stacks.filter(lambda _, complete: complete)
    return complete_stacks.map(lambda stack, _: stack)
