"""A worker may take so much memory and no more."""

import sys

import pytest
import worker_tasks

from videorep.data.videos.workers import MOST_MEMORY, WorkerError, WorkerPool


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count what is mapped")
def test_a_worker_that_wants_too_much_memory_ends_alone():
    with WorkerPool(1, timeout=60) as pool:
        results = list(pool.map(worker_tasks.take_memory, [(1 << 20,), (MOST_MEMORY,), (1 << 20,)]))
    assert results[0] == results[2] == ("taken", b"")
    assert isinstance(results[1], WorkerError) and "MemoryError" in str(results[1])
