"""Several processes and devices that train one model together, through tf.distribute."""

import contextlib
import functools
import hashlib
import json
import os
import signal
import threading
import warnings

import numpy as np
import tensorflow as tf

from videorep.bounds import require
from videorep.errors import ConfigError, RunError, VideorepWarning
from videorep.training.cluster import TF_CONFIG, read_cluster

SUM = tf.distribute.ReduceOp.SUM
# What TensorFlow raises on those that are left when a worker ends, is cut off or does not come.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)
SEEDS_APART = 1_000_003  # of one replica's dropout and the next one's
DIGITS = 12  # of a hash, so that float64 holds the number


class Team:
    """The workers, each a process with one or more devices, its replicas; of a single process all is plain.

    Args:
        strategy: tf.distribute strategy.
        index, count: The place of this process among the workers, and how many there are.
    """

    def __init__(self, strategy, index=0, count=1):
        self.strategy, self.index, self.count = strategy, index, count
        self.replicas = strategy.num_replicas_in_sync
        self._sum = tf.function(lambda values: [strategy.reduce(SUM, value, axis=None) for value in values])

    @property
    def is_chief(self):
        """Whether this process writes the run."""
        return self.index == 0

    def part(self, batch_size):
        """What a source's `training` is told of this worker's share in every batch: {} or {"part": range}."""
        share = batch_size // self.count
        return {"part": range(self.index * share, (self.index + 1) * share)} if self.count > 1 else {}

    def distribute(self, batches, batch_size):
        """The worker's endless batches, spread over its replicas."""
        if self.replicas == 1:
            return batches
        if self.replicas > self.count:
            batches = batches.rebatch(batch_size // self.replicas, drop_remainder=True)
        endless = batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        return self.strategy.distribute_datasets_from_function(lambda _: endless)

    def add_up(self, values):
        """Nested tensors summed over all replicas, within the function that `run` calls."""
        return tf.distribute.get_replica_context().all_reduce(SUM, values) if self.replicas > 1 else values

    def run(self, function, *arguments):
        """Calls a function on every replica; gives what it gave on the first of this process."""
        results = self.strategy.run(function, args=arguments)
        return tf.nest.map_structure(lambda value: self.strategy.experimental_local_results(value)[0], results)

    def of_chief(self, number):
        """The chief's number (float64), on every worker; also a point where all wait for one another."""
        return self._total(number if self.is_chief else 0)

    def any(self, condition):
        """Whether a condition holds on any worker."""
        return bool(self._total(bool(condition)))

    def _total(self, number):
        return float(self._sum([np.asarray(number, np.float64)])[0]) if self.count > 1 else number

    def copy_of_chief(self, variables):
        """Gives every worker the chief's values of variables."""
        if self.count == 1:
            return
        # Whole numbers as int64, since unsigned ones cannot be summed.
        own = [tf.cast(each, each.dtype if each.dtype.is_floating else tf.int64) for each in variables]
        given = self._sum(own if self.is_chief else [tf.zeros_like(each) for each in own])
        for variable, value in zip(variables, given, strict=True):
            variable.assign(tf.cast(value, variable.dtype))

    def part_seeds(self, model):
        """Lets dropout differ from replica to replica; the first one's stays what it is with a single one."""
        seeds = [variable.value for variable in model.variables if variable.path.endswith("seed_generator_state")]

        @tf.function
        def change():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            for seed in seeds:
                seed.assign_add(tf.cast(tf.stack([replica * SEEDS_APART, 0]), seed.dtype))

        if self.replicas > 1 and seeds:
            self.strategy.run(change)

    def require_same(self, facts):
        """Raises a ConfigError on a worker whose facts, as JSON, differ from the chief's."""
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
        number = int(digest[:DIGITS], 16)
        if self.of_chief(number) != number:
            raise ConfigError(
                f"expected settings, data and versions as the chief's, received others on worker {self.index}; give "
                "the same command to every worker, on the same shards"
            )

    @contextlib.contextmanager
    def complete(self):
        """Raises a RunError in the block where another worker is gone."""
        try:
            yield
        except LOST as error:
            if self.count == 1:
                raise
            reason = (
                (error.message.strip() or type(error).__name__).splitlines()[0].split("aborted by: ")[-1].rstrip(":")
            )
            raise RunError(
                f"expected {self.count} workers to train together, received: another one ended or cannot be reached "
                f"({reason}); see what it said, then give the same command with --resume to any number of workers"
            ) from None


def count_replicas(strategy):
    """How many devices will share a batch, without a word to other processes.

    Args:
        strategy: "one", "mirrored" (the GPUs of this machine, else its logical CPUs) or "multi-worker".
    Raises:
        ConfigError: as `read_cluster`.
    """
    if strategy == "multi-worker":
        return read_cluster().count * max(1, len(tf.config.list_physical_devices("GPU")))
    return len(_local_devices()) if strategy == "mirrored" else 1


def require_divisible(batch_size, strategy):
    """Raises a ConfigError where a batch cannot be shared out evenly, or nothing tells who the workers are.

    Warns where workers are told of, who would all train alone.
    """
    if strategy != "multi-worker" and TF_CONFIG in os.environ:
        warnings.warn(f"{TF_CONFIG} counts for nothing without --strategy multi-worker", VideorepWarning, stacklevel=4)
    replicas = count_replicas(strategy)
    shared = f"a multiple of {replicas}, the devices that share a batch"
    require(batch_size % replicas == 0, "batch_size", shared, batch_size, "choose another --batch-size")


@functools.cache
def join(strategy):
    """The `Team` of this process; waits until all workers are there. A process can join one only.

    Args:
        strategy: As for `count_replicas`.
    Raises:
        ConfigError: as `read_cluster`.
        RunError: as `Cluster.meet`.
    """
    if strategy == "one":
        return Team(tf.distribute.get_strategy())
    if strategy == "mirrored":
        devices = _local_devices()
        return Team(tf.distribute.MirroredStrategy(devices)) if len(devices) > 1 else join("one")
    cluster = read_cluster()
    if cluster.count == 1:
        return join("mirrored")
    cluster.meet()
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(cluster.jobs),
        task_type=cluster.job,
        task_id=cluster.task,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except tf.errors.OpError as error:
        raise RunError(
            f"expected {cluster.count} workers to meet at {cluster.jobs}, received: {error.message.splitlines()[0]}; "
            "start all of them, each at an address that is free and can be reached by the others"
        ) from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # which TensorFlow took for itself
    return Team(strategy, cluster.index, cluster.count)


def _local_devices():
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]
