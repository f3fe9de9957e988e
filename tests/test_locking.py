"""One writer to a folder at a time."""

import re
import signal
import subprocess
import sys

import pytest

from videorep.errors import OutputError
from videorep.locking import exclusive

HOLD = "import sys, videorep.locking as l\nwith l.exclusive(sys.argv[1]): print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path, holder):
    with pytest.raises(OutputError, match="another process is writing there") as refusal, exclusive(tmp_path):
        pass
    told = re.search(r"\(pid (\d+)\)", str(refusal.value))
    assert told is None or int(told[1]) == holder.pid


def test_a_killed_process_leaves_no_lock(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_lock_ends_with_its_block(tmp_path):
    for _ in range(2):
        with exclusive(tmp_path):
            pass
