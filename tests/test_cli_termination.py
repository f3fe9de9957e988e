"""Signals end a command, whoever swallows what they raise, and its cleanups are run."""

import signal
import subprocess

import pytest
from made_up_command import command_of

STATUSES = [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]


def heed():
    """Has a process heed Ctrl-C and the terminal's end, though the tests may run in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(body):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command_of(body), **pipes, text=True, preexec_fn=heed)


@pytest.mark.parametrize(("number", "status"), STATUSES)
def test_terminated_process_runs_its_cleanups(number, status):
    body = "exec('try:\\n  print(1, flush=True); time.sleep(60)\\nfinally:\\n  print(2, flush=True)')"
    process = start(body)
    assert process.stdout.readline() == "1\n"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == status
    assert (stdout, stderr) == ("2\n", "\nInterrupted.\n")


def end(lines, number=signal.SIGTERM):
    """Runs a command of these lines, sends it a signal once it has printed "ready", and gives status and output."""
    body = f"exec({chr(10).join(lines)!r}, globals())"
    with start(body) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, stdout, stderr


SWALLOWING = {
    "garbage collector": [
        "import gc",
        "gc.callbacks.append(lambda *_: (gc.callbacks.clear(), print('ready', flush=True), time.sleep(30)))",
        "gc.collect()",
    ],
    "finaliser": [
        "class Last:",
        "    def __del__(self):",
        "        print('ready', flush=True)",
        "        time.sleep(30)",
        "last = Last()",
        "del last",
    ],
    "bare except": ["try:", "    print('ready', flush=True)", "    time.sleep(60)", "except:", "    pass"],
}


@pytest.mark.parametrize("swallowing", SWALLOWING)
@pytest.mark.parametrize(("number", "status"), STATUSES)
def test_a_signal_that_is_swallowed_comes_again(swallowing, number, status):
    lines = [*SWALLOWING[swallowing], "for _ in range(300):", "    time.sleep(0.1)", "print('still here')"]
    received, stdout, stderr = end(lines, number)
    assert (received, stdout) == (status, "") and stderr.endswith("\nInterrupted.\n")


def test_a_signal_that_is_swallowed_in_a_dry_runs_measurement_comes_again():
    """Which has a bound by the same timer: the measurement ends by itself, before the signal is sent again."""
    swallowed = [f"    {line}" for line in SWALLOWING["bare except"]]
    lines = [
        "from videorep.training.interruption import stopped_after",
        "with stopped_after(50):",
        *swallowed,
        "for _ in range(300):",
        "    time.sleep(0.1)",
        "print('still here')",
    ]
    assert end(lines)[:2] == (143, "")


@pytest.mark.parametrize(("number", "status"), STATUSES)
def test_a_long_cleanup_is_not_disturbed(number, status):
    """Neither where it meets errors of its own."""
    cleanup = [
        "    time.sleep(2.5)",
        "    try:",
        "        raise KeyError",
        "    except KeyError:",
        "        time.sleep(2.5)",
    ]
    lines = ["try:", "    print('ready', flush=True)", "    time.sleep(60)", "finally:", *cleanup, "    print('clean')"]
    assert end(lines, number) == (status, "clean\n", "\nInterrupted.\n")


@pytest.mark.parametrize(("number", "status"), STATUSES)
def test_a_look_that_is_due_while_the_program_ends_does_nothing(number, status):
    """Between the answer and the exit there is no exception on its way; looks a thousand times as often meet that."""
    often = [
        "import videorep.cli.termination",
        "videorep.cli.termination.PATIENCE = 0.0002",
        "try:",
        "    print('ready', flush=True)",
        "    time.sleep(60)",
        "finally:",
        "    time.sleep(0.02)",
    ]
    assert [end(often, number) for _ in range(10)] == [(status, "", "\nInterrupted.\n")] * 10


def test_training_that_begins_after_a_swallowed_signal_ends_in_its_own_way():
    loop = [
        "from videorep.training.interruption import deferred_interruption",
        "with deferred_interruption() as interrupted:",
        "    while not interrupted:",
        "        time.sleep(0.1)",
        "    time.sleep(2.5)",
        "    print('saved', flush=True)",
    ]
    status, stdout, _ = end([*SWALLOWING["garbage collector"], *loop])
    assert (status, stdout) == (143, "saved\n")


def test_a_hang_up_that_is_ignored_stays_ignored():
    """As under nohup."""
    body = f"import os; os.kill(os.getpid(), {int(signal.SIGHUP)}); print('still here')"
    result = subprocess.run(["nohup", *command_of(body)], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, "still here\n")
