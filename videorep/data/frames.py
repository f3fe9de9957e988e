"""Clip shards as one stream of network inputs: decoded in parallel, batched across videos, in a fixed order."""

import numpy as np
import tensorflow as tf

from videorep.data.background import release_iterators_at_exit, without_tuning
from videorep.data.flow import flow_field
from videorep.data.schema import parse_clip
from videorep.data.workers import count_cores

PAPER_CROP = 224  # the paper cuts the central 224x224 ...
PAPER_SHORT_SIDE = 240  # ... out of frames of 240x320
PREFETCHED_BATCHES = 2


def read_batches(files, frame_counts, batch_size, size, flow_stack=0):
    """Streams the frames of clip shards through decoding, cropping and batching.

    A batch holds frames of consecutive videos, never of two shards: the last batch of each shard is filled up with
    zeros. So the batches of a shard, and the percepts computed from them, do not depend on where a build was resumed.

    Args:
        files: Shard files in order.
        frame_counts: Number of frames in each.
        batch_size: B, the same for every batch.
        size: S, side of the network's input.
        flow_stack: L for stacks of L flow fields, 0 for RGB.
    Returns:
        `tf.data.Dataset` of (B, S, S, 3) uint8 RGB, or of (B, S, S, 2L) float32 flow stacks.
    """
    padding = np.array([-count % batch_size for count in frame_counts], np.int64)
    shards = tf.data.Dataset.from_tensor_slices((list(map(str, files)), padding))
    if flow_stack:
        frames = _flow_stacks(shards.flat_map(lambda file, pad: _flow_steps(file, pad, flow_stack)), size, flow_stack)
    else:
        frames = _rgb_frames(shards.flat_map(_encoded_images), size)
    return without_tuning(frames.batch(batch_size, drop_remainder=True).prefetch(PREFETCHED_BATCHES))


def crop_centre(image, size):
    """The central `size` x `size` of an image, scaled first so that the paper's crop keeps its proportion.

    The paper cuts 224x224 out of 240x320: the shorter side is 15/14 of the crop. An image whose shorter side differs is
    scaled to that (bilinear, antialiased, aspect kept); a 240x320 frame under a 224x224 crop is not touched.

    Args:
        image: (H, W, C) uint8.
        size: Side of the crop.
    Returns:
        (size, size, C) uint8.
    """
    return cut_centre(scale_frame(image, size), size)


def scale_frame(image, size):
    """Scales an (H, W, C) uint8 image so that its shorter side suits a crop of `size`."""
    side = round(size * PAPER_SHORT_SIDE / PAPER_CROP)
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


def decode_frame(image):
    """Decodes a JPEG or PNG file to (H, W, 3) uint8 RGB; a grey one to three equal channels."""
    return tf.io.decode_jpeg(image, channels=3)


def _clips(file):
    return tf.data.TFRecordDataset(file, buffer_size=1 << 20).map(lambda record: parse_clip(record)["images"])


def _encoded_images(file, padding):
    """Every encoded frame of a shard, then `padding` empty strings."""
    images = _clips(file).flat_map(tf.data.Dataset.from_tensor_slices)
    return images.concatenate(tf.data.Dataset.from_tensors("").repeat(padding))


def _rgb_frames(images, size):
    def load(image):
        blank = tf.zeros((size, size, 3), tf.uint8)
        return tf.cond(tf.equal(image, ""), lambda: blank, lambda: crop_centre(decode_frame(image), size))

    return images.map(load, num_parallel_calls=count_cores())


def _flow_steps(file, padding, flow_stack):
    """The fields that a shard's stacks need, one step per field, as the two frames that it lies between.

    A clip of T frames gives T stacks: stack t holds the fields t, ..., t + L - 1, and the last field stands for all
    that would follow it. (A single frame has the field of no motion.) "fresh" marks a field that must be computed,
    "complete" the last field of a stack. Padding steps are complete and never fresh.
    """

    def steps(images):
        count = tf.size(images)
        number = tf.range(count + flow_stack - 1)
        first = tf.clip_by_value(number, 0, tf.maximum(count - 2, 0))
        second = tf.clip_by_value(number + 1, 0, count - 1)
        fresh = number < tf.maximum(count - 1, 1)
        return tf.data.Dataset.from_tensor_slices(
            {
                "first": tf.gather(images, first),
                "second": tf.gather(images, second),
                "fresh": fresh,
                "complete": number >= flow_stack - 1,
            }
        )

    blank = {"first": "", "second": "", "fresh": False, "complete": True}
    return _clips(file).flat_map(steps).concatenate(tf.data.Dataset.from_tensors(blank).repeat(padding))


def _flow_stacks(steps, size, flow_stack):
    release_iterators_at_exit()

    def compute(first, second):
        frames = [scale_frame(decode_frame(image), size) for image in (first, second)]
        return cut_centre(tf.ensure_shape(tf.numpy_function(flow_field, frames, tf.float32), (None, None, 2)), size)

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
