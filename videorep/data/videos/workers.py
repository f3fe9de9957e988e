"""Worker processes that may crash or hang without taking the parent along. No TensorFlow.

They are started as `python -P -m videorep.data.videos.workers`. Unlike the children of multiprocessing (and of the
pools on top of it) they never import the caller's main module, so they start in a quarter of a second whatever the
caller imported, and callers need no `if __name__ == "__main__"`. They import from where the caller does, but never from
the current folder: a data set that was downloaded there may bring a `queue.py`.
"""

import collections
import concurrent.futures
import contextlib
import os
import pickle
import queue
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ATTEMPTS = 2  # a crash or a hang may come of the machine's state, not of the input
WINDOW = 8  # tasks per worker that may run or be finished ahead of the one that the caller waits for
HELD_BYTES = 256 << 20  # of finished results; no task is started while more is held
SEND_BYTES = 4 << 20  # so that a worker can go on before the parent has read its result
BEAT_SECONDS = 1.0
MOST_MEMORY = 4 << 30  # bytes of data of a worker: a stranger's video may ask for any size
SIZES = struct.Struct("<QQ")  # of a message: its pickled value and its payload; a sign of life has neither
DECODER_SETTINGS = {"OPENCV_FFMPEG_LOGLEVEL": "16", "OPENCV_LOG_LEVEL": "SILENT"}  # FFmpeg's errors, nothing else


class WorkerError(Exception):
    """A task that crashed or hung its worker in every attempt; the message says which."""


def _send(connection, value, payload=b""):
    message = pickle.dumps(value)
    connection.sendall(SIZES.pack(len(message), len(payload)) + message)
    connection.sendall(payload)


def _receive(connection):
    """(value, payload), or None for a sign of life; EOFError if the other end is gone."""
    sizes = SIZES.unpack(_read(connection, SIZES.size))
    if sizes == (0, 0):
        return None
    message, payload = (_read(connection, size) for size in sizes)
    return pickle.loads(message), payload


def _read(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data), socket.MSG_WAITALL)
        if not part:
            raise EOFError
        data = data + part if data else part
    return data


def import_path():
    """Where workers import from: the caller's `sys.path` without the folders that nobody chose.

    Python itself puts the current folder there, or that of the script that it runs: data may lie in either. Left out
    are these and relative ones, unless PYTHONPATH names them in full or videorep itself is in them.
    """
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None) if getattr(main, "__spec__", None) is None else None
    unchosen = {Path.cwd().resolve()} | ({Path(script).resolve().parent} if script else set())
    package_root = Path(__file__).resolve().parents[3]
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    chosen = {package_root, *(Path(entry).resolve() for entry in named if os.path.isabs(entry))}
    entries = dict.fromkeys([*sys.path, str(package_root)])
    return [entry for entry in entries if os.path.isabs(entry) and Path(entry).resolve() not in unchosen - chosen]


def anonymous_file():
    """A file without a name. On Linux it needs no disk, so that a full one cannot hide what a decoder complains of."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("videorep"), "w+b")
    return tempfile.TemporaryFile()


class _Worker:
    """One process and the connection to it."""

    def __init__(self):
        self._errors = anonymous_file()
        self._connection, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        environment = os.environ | DECODER_SETTINGS | {"PYTHONPATH": os.pathsep.join(import_path())}
        environment.pop("OPENCV_FFMPEG_DEBUG", None)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "videorep.data.videos.workers", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=environment,
            )

    def call(self, function, arguments, timeout):
        """The function's result; EOFError or OSError if the worker dies, TimeoutError if it is silent too long."""
        _send(self._connection, (function, arguments))
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        while poller.poll(1000 * timeout):
            result = _receive(self._connection)
            if result is not None:
                return result
        raise TimeoutError

    def kill(self):
        """Ends the process, whatever it is doing."""
        self._process.kill()

    def bury(self):
        """Ends the process, frees what it held, and tells how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)  # a crash closes the connection a little before the process is gone
        self.kill()
        status = self._process.wait()
        self._connection.close()
        with self._errors as file:
            file.seek(0)
            lines = file.read().decode(errors="replace").split("\n")
        if status < 0:
            return signal.Signals(-status).name
        return f"exit status {status}: {next(filter(None, reversed(lines)), 'no message')}"


class WorkerPool:
    """A fixed number of workers, each replaced when it crashes, or gives no sign of life for `timeout` seconds.

    with WorkerPool(workers=2, timeout=60) as pool:
        for result in pool.map(function, tasks): ...
    """

    def __init__(self, workers, timeout):
        self._timeout = timeout
        self._size = workers
        self._closed = False
        self._idle = queue.SimpleQueue()
        self._alive = set()
        self._lock = threading.Lock()
        self._threads = concurrent.futures.ThreadPoolExecutor(workers)
        for _ in range(workers):
            self._hire()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def map(self, function, tasks):
        """Yields the result of `function(*task, beat)` for each task, in order, or a `WorkerError` in its place.

        Args:
            function: A function of a module that workers can import; it calls `beat()` now and then to show life. It
                returns a value and a payload: large bytes, which travel faster for not being part of the value.
            tasks: Iterable of tuples of arguments; it is read only a little ahead of the results.
        """
        pending = collections.deque()
        tasks = iter(tasks)
        while True:
            while len(pending) < WINDOW * self._size and _held(pending) <= HELD_BYTES:
                task = next(tasks, None)
                if task is None:
                    break
                pending.append(self._threads.submit(self._run, function, task))
            if not pending:
                return
            yield pending.popleft().result()

    def close(self):
        """Kills the workers; what they were doing is lost."""
        with self._lock:
            self._closed = True
            for worker in self._alive:
                worker.kill()
        self._threads.shutdown(cancel_futures=True)
        while self._alive:
            self._alive.pop().bury()

    def _hire(self):
        with self._lock:
            if not self._closed:
                worker = _Worker()
                self._alive.add(worker)
                self._idle.put(worker)

    def _dismiss(self, worker):
        with self._lock:
            self._alive.discard(worker)
        return worker.bury()

    def _run(self, function, task):
        """Runs in a thread of the parent: waits for a worker as long as it takes."""
        fault = WorkerError("stopped")
        for _ in range(ATTEMPTS):
            if self._closed:
                break
            worker = self._idle.get()
            try:
                result = worker.call(function, task, self._timeout)
            except TimeoutError:
                worker.kill()
                self._dismiss(worker)
                fault = WorkerError(f"timed out: no frame for {self._timeout:g} s")
            except (EOFError, OSError):
                fault = WorkerError(f"decoder crashed: {self._dismiss(worker)}")
            else:
                self._idle.put(worker)
                return result
            self._hire()
        return fault


def _held(futures):
    """Bytes of payload that wait for the caller."""
    results = (future.result() for future in futures if future.done())
    return sum(len(result[1]) for result in results if not isinstance(result, WorkerError))


def _end_with_parent(descriptor):
    """Ends the process when the other end of the connection is gone, as it is after the parent was killed."""
    poller = select.poll()
    poller.register(descriptor, 0)
    poller.poll()
    os._exit(1)


def _pulse(connection):
    """A function that tells the parent, at most once a second, that this process is alive."""
    told_at = time.monotonic()

    def beat():
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= BEAT_SECONDS:
            told_at = now
            connection.sendall(SIZES.pack(0, 0))

    return beat


def serve(descriptor):
    """The worker's side: runs one task after another until the parent closes the connection."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C and a closed terminal are the parent's business
    threading.Thread(target=_end_with_parent, args=(descriptor,), daemon=True).start()
    connection = socket.socket(fileno=descriptor)
    beat = _pulse(connection)
    with contextlib.suppress(EOFError):
        while True:
            (function, arguments), _ = _receive(connection)
            _send(connection, *function(*arguments, beat))


def limit_memory():
    """Has allocations beyond `MOST_MEMORY` fail in this process. Not of address space, which threads reserve idly."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = MOST_MEMORY if hard == resource.RLIM_INFINITY else min(MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    limit_memory()
    serve(int(sys.argv[1]))
