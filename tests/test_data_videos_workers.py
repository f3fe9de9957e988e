"""videorep.data.videos.workers: processes that crash, hang, shout and outlive nobody."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import worker_tasks

from videorep.data.videos import workers
from videorep.data.videos.workers import WorkerError, WorkerPool


def run(function, tasks, count=2, timeout=30.0):
    with WorkerPool(count, timeout) as pool:
        results = list(pool.map(function, tasks))
    return [result if isinstance(result, WorkerError) else result[0] for result in results]


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_the_order_of_the_tasks(count):
    tasks = [(number, 0.03 * (number % 3 == 0)) for number in range(20)]
    assert run(worker_tasks.slow_square, tasks, count) == [number * number for number in range(20)]


def test_no_tasks_give_no_results():
    assert run(worker_tasks.square, []) == []


def test_work_is_done_by_that_many_other_processes():
    pids = {pid for _, pid in run(worker_tasks.square, [(number,) for number in range(30)])}
    assert 1 <= len(pids) <= 2 and os.getpid() not in pids


def test_tasks_that_misbehave_become_errors_in_their_place_and_the_others_are_done():
    tasks = ["a", "segfault", "b", "raise", "exit", "c", "segfault", "d"]
    results = run(worker_tasks.misbehave, [(how,) for how in tasks])
    assert [result for result in results if isinstance(result, str)] == ["a", "b", "c", "d"]
    faults = {how: str(result) for how, result in zip(tasks, results, strict=True) if isinstance(result, WorkerError)}
    assert faults["segfault"] == "decoder crashed: SIGSEGV"
    assert faults["raise"] == "decoder crashed: exit status 1: KeyError: 'bad task'"
    assert faults["exit"] == "decoder crashed: exit status 3: no message"


def test_a_task_that_hangs_is_stopped_and_the_others_are_done():
    results = run(worker_tasks.misbehave, [("hang",), ("a",), ("b",)], timeout=2.0)
    assert str(results[0]) == "timed out: no frame for 2 s" and results[1:] == ["a", "b"]


def test_a_worker_that_shows_life_may_take_longer_than_the_timeout(monkeypatch):
    assert run(worker_tasks.show_life, [(3.5,)], timeout=2.0) == ["done"]


def test_a_task_gets_a_second_try(tmp_path):
    assert run(worker_tasks.fail_once, [(str(tmp_path / "marker"),)]) == ["worked"]


def test_only_a_window_of_tasks_is_taken_ahead():
    taken = []

    def tasks():
        for number in range(100):
            taken.append(number)
            yield (number,)

    with WorkerPool(1, 30.0) as pool:
        results = pool.map(worker_tasks.square, tasks())
        next(results)
        time.sleep(0.3)
        assert len(taken) <= workers.WINDOW + 1


def test_no_task_is_started_while_much_is_held(monkeypatch):
    monkeypatch.setattr(workers, "HELD_BYTES", 1 << 20)
    taken = []

    def tasks():
        for number in range(8):
            taken.append(number)
            time.sleep(0.3)
            yield (2 << 20,)

    with WorkerPool(1, 30.0) as pool:
        results = pool.map(worker_tasks.big, tasks())
        assert next(results) == (2 << 20, bytes(2 << 20))
        assert len(taken) <= 4
        assert [len(payload) for _, payload in results] == [2 << 20] * 7


def numbers(answers):
    """`receive` of a stream: the numbers of the parts, then the result."""
    for is_last, result in answers:
        yield str(result) if isinstance(result, WorkerError) else (is_last, result[0])


def test_parts_come_in_order_also_after_a_crash(tmp_path):
    tasks = [(5, 10, ""), (4, 10, str(tmp_path / "marker")), (0, 10, ""), (3, 10, "")]
    with WorkerPool(2, 30.0) as pool:
        received = [list(each) for each in pool.stream(worker_tasks.send_parts, tasks, numbers, 10)]
        assert received == [[*((False, number) for number in range(count)), (True, count)] for count, *_ in tasks]
        gone = [list(each) for each in pool.stream(worker_tasks.misbehave, [("exit",)], numbers, 10)]
        assert gone == [["decoder crashed: exit status 3: no message"]]


def test_parts_that_nobody_takes_hold_up_the_workers_not_the_end(monkeypatch):
    monkeypatch.setattr(workers, "HELD_BYTES", 4 << 20)
    taken = []

    def receive(answers):
        for each in numbers(answers):
            taken.append(each)
            yield each

    with WorkerPool(1, 3.0) as pool:
        streams = pool.stream(worker_tasks.send_parts, [(100, 1 << 20, "")] * 3, receive, 1 << 20)
        first = next(streams)
        assert next(first) == (False, 0)
        time.sleep(3.5)
        assert len(taken) <= 4, "one was taken, two wait, one is held"
        assert len(list(first)) == 100 and len(list(next(streams))) == 101
        streams.close()
    assert len(taken) < 303


def test_what_receive_raises_is_raised():
    def receive(answers):
        yield next(answers)
        raise ValueError("receive")

    with WorkerPool(1, 30.0) as pool:
        streams = pool.stream(worker_tasks.send_parts, [(5, 10, "")], receive, 10)
        with pytest.raises(ValueError, match="receive"):
            list(next(streams))
        assert next(pool.map(worker_tasks.square, [(3,)]))[0][0] == 9, "the worker was replaced"


def test_workers_import_neither_tensorflow_nor_the_callers_main_module():
    assert run(worker_tasks.imported, [(["tensorflow", "keras", "pytest", "_pytest"],)]) == [[]]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids, seconds=10.0):
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


def test_no_process_is_left_when_a_pool_is_closed_in_the_midst_of_work():
    pool = WorkerPool(2, 30.0)
    pids = [worker._process.pid for worker in pool._alive]
    results = pool.map(worker_tasks.misbehave, [("a",), ("hang",), ("hang",), ("b",)])
    assert next(results) == ("a", b"") and all(map(alive, pids))
    pool.close()
    assert wait_until_gone(pids, 1.0)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to look for processes")
@pytest.mark.parametrize("task", ["hang", "a"])
def test_no_process_is_left_when_the_parent_is_killed(task):
    code = (
        "import time, worker_tasks\n"
        "from videorep.data.videos.workers import WorkerPool\n"
        "pool = WorkerPool(2, 60.0)\n"
        "print(*[worker._process.pid for worker in pool._alive], flush=True)\n"
        f"print(list(pool.map(worker_tasks.misbehave, [({task!r},)] * 4)), flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2 and all(map(alive, pids))
        time.sleep(1.0)
        parent.send_signal(signal.SIGKILL)
    assert wait_until_gone(pids)
