"""Which processes train one model together, as TF_CONFIG or SLURM says."""

import dataclasses
import json
import os
import socket
import time
import warnings

import tensorflow as tf

from videorep.errors import ConfigError, RunError, VideorepWarning

TF_CONFIG, SLURM = "TF_CONFIG", "SLURM_STEP_NUM_TASKS"
CHIEF, WORKER = "chief", "worker"
EXAMPLE = '{"cluster": {"worker": ["host-a:2222", "host-b:2222"]}, "task": {"type": "worker", "index": 0}}'
REMEDY = f"set it for every worker as docs/scaling.md says, or use another --strategy; an example: {EXAMPLE}"
FIRST_PORT = 8888  # of the tasks of a SLURM node
PATIENCE, LIMIT, PAUSE = 10.0, 600.0, 0.2  # seconds: until a word, until an error, between two looks
BACKLOG = 1024


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers, and which of them this process is.

    Args:
        jobs: {"worker": addresses "host:port"}, and {"chief": [address]} besides where one is called so.
        job, task: The job of this process, and its place in it.
    """

    jobs: dict
    job: str
    task: int

    @property
    def count(self):
        return sum(map(len, self.jobs.values()))

    @property
    def index(self):
        """The place of this process among all; the chief has 0."""
        return self.task + (len(self.jobs.get(CHIEF, ())) if self.job == WORKER else 0)

    def meet(self):
        """Waits until every worker listens at its address; TensorFlow would wait without a word, an end or Ctrl-C.

        Raises:
            RunError: another process listens at this worker's port, or others did not come.
        """
        with _listener(self.jobs[self.job][self.task]):
            absent = [address for of_job in self.jobs.values() for address in of_job]
            start, warned = time.monotonic(), False
            while absent := [address for address in absent if not _answers(address)]:
                waited = time.monotonic() - start
                names = ", ".join(absent)
                if waited > LIMIT:
                    raise RunError(
                        f"expected {self.count} workers to meet, waited {LIMIT:.0f} s for {names}; start all of them, "
                        "each at an address that the others can reach, and see what those that ended said"
                    )
                if waited > PATIENCE and not warned:
                    warnings.warn(f"waiting for workers that do not answer yet: {names}", VideorepWarning, stacklevel=3)
                    warned = True
                time.sleep(PAUSE)


def _listener(address):
    """A socket that answers at the port of an address, which TensorFlow will take over."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("", int(address.rpartition(":")[2])))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise RunError(
            f"expected to listen at {address}, received: {error.strerror}; end what is there, or give this worker "
            f"another port in every worker's {TF_CONFIG}"
        ) from error
    return listener


def _answers(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def read_cluster():
    """The `Cluster` of this process.

    Raises:
        ConfigError: neither TF_CONFIG nor SLURM tells of one, or what it says makes no sense.
    """
    if TF_CONFIG in os.environ:
        return _parse(os.environ[TF_CONFIG])
    if SLURM in os.environ:
        return _of_slurm()
    raise _refusal("a JSON object", "neither it nor a step of SLURM (srun)")


def _parse(text):
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        index = int(task["index"]) if str(task["index"]).isdecimal() else task["index"]
        cluster = Cluster({job: list(jobs[job]) for job in jobs}, task["type"], index)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise _refusal('a JSON object with "cluster" and "task"', repr(text[:200])) from error
    addresses = [address for of_job in cluster.jobs.values() for address in of_job]
    if not addresses or cluster.jobs.keys() - {CHIEF, WORKER} or len(cluster.jobs.get(CHIEF, [])) > 1:
        raise _refusal("workers, of which one may be called chief, and nothing else", f"{cluster.jobs}"[:200])
    if len(addresses) != len(set(map(str, addresses))) or not all(map(_is_address, addresses)):
        raise _refusal("different addresses host:port", f"{addresses}"[:200])
    there = cluster.jobs.get(cluster.job, ()) if isinstance(cluster.job, str) else ()
    if not (type(cluster.task) is int and 0 <= cluster.task < len(there)):
        raise _refusal("a task out of its cluster", f"{task}"[:200])
    return cluster


def _is_address(address):
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) < 2**16


def _of_slurm():
    """What srun tells; the GPUs of a task are those that SLURM lets it see."""
    try:
        tasks = int(os.environ[SLURM])
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=FIRST_PORT, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        jobs = resolver.cluster_spec().as_dict()
    except (ValueError, RuntimeError, LookupError) as error:
        raise _refusal("a step of SLURM, begun by srun", f"variables that make no sense: {error}") from error
    return Cluster(jobs, resolver.task_type, resolver.task_id)


def _refusal(expected, received):
    return ConfigError(f"expected {TF_CONFIG} to hold {expected}, received {received}; {REMEDY}")
