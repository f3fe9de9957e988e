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
import queue
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from videorep.data.threads import run_ahead
from videorep.data.videos.messages import Pulse, receive_message, send_message

ATTEMPTS = 2  # a crash or a hang may come of the machine's state, not of the input
WINDOW = 8  # tasks per worker that may run or be finished ahead of the one that the caller waits for
STREAMS = 2  # of tasks that hand over parts of their results
HELD_BYTES = 256 << 20  # of finished results and parts; no task is started, or goes on, while more is held
SEND_BYTES = 4 << 20  # so that a worker can go on before the parent has read its result
MOST_MEMORY = 4 << 30  # bytes of data of a worker: a stranger's video may ask for any size
DECODER_SETTINGS = {"OPENCV_FFMPEG_LOGLEVEL": "16", "OPENCV_LOG_LEVEL": "SILENT"}  # FFmpeg's errors, nothing else


class WorkerError(Exception):
    """A task that crashed or hung its worker in every attempt; the message says which."""


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

    def answers(self, function, arguments, timeout):
        """Yields (False, part) for each part that the function sends, then (True, its result), (value, payload) each.

        EOFError or OSError if the worker dies, TimeoutError if it is silent too long.
        """
        send_message(self._connection, (function, arguments))
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        while poller.poll(1000 * timeout):
            message = receive_message(self._connection)
            if message is not None:
                (is_last, value), payload = message
                yield is_last, (value, payload)
                if is_last:
                    return
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

    def stream(self, function, tasks, receive, item_bytes):
        """Yields for each task, in order, an iterator of what `receive` makes of its answers.

        The caller uses up each iterator before it asks for the next.

        Args:
            function, tasks: As for `map`; the function may also hand over parts of its result: `beat.send(value,
                payload)`.
            receive: Generator function of an iterator of answers: (False, (value, payload)) for each part, then
                (True, the result or a `WorkerError`). It runs in a thread of the parent.
            item_bytes: About the size of what it yields: so much waits for the caller that `HELD_BYTES` are held.
        """
        count = max(1, HELD_BYTES // (STREAMS * self._size * item_bytes))
        pending, stopped, tasks = collections.deque(), threading.Event(), iter(tasks)
        try:
            while True:
                while len(pending) < STREAMS * self._size and (task := next(tasks, None)) is not None:
                    items = _received(receive, self._answers(function, task))
                    pending.append(run_ahead(items, count, self._threads, stopped))
                if not pending:
                    return
                yield pending.popleft()
        finally:
            stopped.set()

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
        """The result of a task or a `WorkerError`."""
        *_, (_, result) = self._answers(function, task)
        return result

    def _answers(self, function, task):
        """Runs in a thread of the parent: waits for a worker as long as it takes, see `stream`.

        A second attempt leaves out the parts that the first one gave.
        """
        result, given = WorkerError("stopped"), 0
        for _ in range(ATTEMPTS):
            if self._closed:
                break
            worker = self._idle.get()
            try:
                for number, (is_last, answer) in enumerate(worker.answers(function, task, self._timeout)):
                    if not is_last and number >= given:
                        given += 1
                        yield False, answer
            except TimeoutError:
                worker.kill()
                self._dismiss(worker)
                result = WorkerError(f"timed out: no frame for {self._timeout:g} s")
            except (EOFError, OSError):
                result = WorkerError(f"decoder crashed: {self._dismiss(worker)}")
            except GeneratorExit:  # nobody wants the rest
                worker.kill()
                self._dismiss(worker)
                self._hire()
                raise
            else:
                self._idle.put(worker)
                result = answer
                break
            self._hire()
        yield True, result


def _received(receive, answers):
    """What `receive` makes of answers; ends the task where that fails or is not wanted any more."""
    with contextlib.closing(answers):
        yield from receive(answers)


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


def serve(descriptor):
    """The worker's side: runs one task after another until the parent closes the connection."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C and a closed terminal are the parent's business
    threading.Thread(target=_end_with_parent, args=(descriptor,), daemon=True).start()
    connection = socket.socket(fileno=descriptor)
    beat = Pulse(connection)
    with contextlib.suppress(EOFError):
        while True:
            (function, arguments), _ = receive_message(connection)
            value, payload = function(*arguments, beat)
            send_message(connection, (True, value), payload)


def limit_memory():
    """Has allocations beyond `MOST_MEMORY` fail in this process. Not of address space, which threads reserve idly."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = MOST_MEMORY if hard == resource.RLIM_INFINITY else min(MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    limit_memory()
    serve(int(sys.argv[1]))
