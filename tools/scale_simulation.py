"""Workers that take shards one after another, simulated event by event: failures, stragglers, one storage for all.

Assumed is: a worker fails at random at a constant rate while it is at work; what it did on the shard at hand is lost,
it comes back after `restart_seconds` and does that shard again (a build's `.build` keeps finished shards). A straggler
computes `slowness` times as long as others, throughout. The storage passes one transfer at a time on, at its full
bandwidth; while a worker waits for it, it cannot fail.
"""

import dataclasses
import heapq
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Who does the work.

    Args:
        workers: How many.
        failures_per_hour: Of each worker; preemptions count.
        restart_seconds: From a failure until the worker is at work again.
        stragglers: Share of the workers that are slow.
        slowness: How many times as long these compute.
        bandwidth: Bytes per second of the storage, for all workers together.
        dealt: Whether worker I has every N-th shard from the beginning (`--part I/N`), or the next free worker takes
            the next shard.
    """

    workers: int
    failures_per_hour: float = 0.0
    restart_seconds: float = 0.0
    stragglers: float = 0.0
    slowness: float = 1.0
    bandwidth: float = math.inf
    dealt: bool = False


def simulate(cluster, shards, seconds, size=0.0, seed=0):
    """Does `shards` shards, each of so many `seconds` of computing and `size` bytes from or to the storage.

    Returns:
        dict: "seconds" until all are done, "failures", "lost_seconds" (computed in vain, all workers together),
        "busy" (share of the workers' time that was spent on what counted).
    """
    random = np.random.default_rng(seed)
    slow = np.arange(cluster.workers) < round(cluster.stragglers * cluster.workers)
    takes = np.where(slow, seconds * cluster.slowness, seconds)
    left = np.full(cluster.workers, shards)
    if cluster.dealt:
        left = np.array([len(range(worker, shards, cluster.workers)) for worker in range(cluster.workers)])
    events, storage_free, pool, failures, lost, useful, end = [], 0.0, shards, 0, 0.0, 0.0, 0.0
    for worker in range(cluster.workers):
        heapq.heappush(events, (0.0, worker, False))
    while events:
        now, worker, again = heapq.heappop(events)
        if not again and not (left[worker] if cluster.dealt else pool):
            continue
        if not again:
            left[worker] -= 1
            pool -= 1
        began = max(now, storage_free) if size else now
        storage_free = began + size / cluster.bandwidth if size else storage_free
        start = storage_free if size else now
        lives = random.exponential(3600 / cluster.failures_per_hour) if cluster.failures_per_hour else math.inf
        if lives < takes[worker]:
            failures, lost = failures + 1, lost + lives
            heapq.heappush(events, (start + lives + cluster.restart_seconds, worker, True))
        else:
            useful, done = useful + takes[worker], start + takes[worker]
            end = max(end, done)
            heapq.heappush(events, (done, worker, False))
    return {
        "seconds": float(end),
        "failures": failures,
        "lost_seconds": float(lost),
        "busy": float(useful / (end * cluster.workers)) if end else 1.0,
    }


def expected_seconds(work, failures_per_hour, restart_seconds):
    """The expected time until `work` seconds pass without a failure, all that came before lost.

    Of failures at the rate r and a restart of R seconds (1 / r + R) (exp(r work) - 1): each attempt that fails, and
    there are exp(r work) - 1 of them on average, costs its restart; the attempts together, that which succeeds
    counted, last (exp(r work) - 1) / r. A synchronous training of N workers has N times the rate of one, and the time
    between two checkpoints as `work`.
    """
    rate = failures_per_hour / 3600
    if not rate:
        return work
    with np.errstate(over="ignore"):
        return float((1 / rate + restart_seconds) * np.expm1(rate * work))
