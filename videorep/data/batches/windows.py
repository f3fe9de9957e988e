"""Windows of frames cut from records: their list, and their shuffled endless order.

dataset.json says where every record lies, so draw d of a stream is found by arithmetic: nothing is read to skip. A
window of percepts is read alone, a window of a clip with its record (the images outside are not decoded).
"""

import functools

import numpy as np

from videorep.data.sampling import draw_in_order, make_generator


def list_windows(frames, length, stride, pad=False):
    """Every window of `length` frames that begins at a multiple of `stride`, of records of so many `frames` (N,).

    With `pad` a shorter record has one window all the same. Returns (record, start): two (W,) int64 arrays, in the
    order of the records.
    """
    counts = np.where(frames >= length, (frames - length) // stride + 1, int(pad))
    record = np.repeat(np.arange(len(frames)), counts)
    start = np.arange(len(record))
    start -= np.repeat(np.cumsum(counts) - counts, counts)  # in place: there may be tens of millions
    start *= stride
    return record, start


class ShuffledOrder:
    """The numbers 0..count-1 over and over, each time in a new order that (seed, epoch) decides."""

    def __init__(self, count, seed):
        self._count, self._seed = count, seed
        self._order = functools.lru_cache(maxsize=2)(self._shuffle)

    def _shuffle(self, epoch):
        return make_generator(self._seed, epoch).permutation(self._count)

    def draw(self, first, count=1):
        """Draws `first` to `first + count - 1` of the stream: (count,) int64."""
        return draw_in_order(self._order, self._count, first, count)
