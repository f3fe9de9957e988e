"""Which windows there are, and in which order they come."""

import itertools

import numpy as np
import pytest
from batch_shards import FRAMES

from videorep.data.batches.windows import ShuffledOrder, list_windows


@pytest.mark.parametrize(("length", "stride", "pad"), list(itertools.product([1, 3, 8], [1, 2, 5], [False, True])))
def test_windows_are_those_of_plain_loops(length, stride, pad):
    expected = []
    for record, frames in enumerate(FRAMES):
        starts = list(range(0, frames - length + 1, stride))
        expected += [(record, start) for start in (starts or ([0] if pad else []))]
    records, starts = list_windows(np.array(FRAMES), length, stride, pad)
    assert list(zip(records.tolist(), starts.tolist(), strict=True)) == expected


def test_every_epoch_is_another_order_of_all_numbers():
    order = ShuffledOrder(17, seed=3)
    stream = order.draw(0, 17 * 4).reshape(4, 17)
    assert all(sorted(epoch) == list(range(17)) for epoch in stream.tolist())
    assert len({tuple(epoch) for epoch in stream.tolist()}) == 4
    assert np.concatenate([order.draw(first, 5) for first in range(0, 65, 5)]).tolist() == stream.ravel()[:65].tolist()
    assert ShuffledOrder(17, seed=4).draw(0, 17).tolist() != stream[0].tolist()
