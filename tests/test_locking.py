"""One writer to a folder at a time."""

import contextlib
import re
import signal
import subprocess
import sys

import pytest

from videorep.errors import OutputError
from videorep.locking import alone_in, exclusive

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


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_a_folder_that_was_made_goes_again_if_it_is_left_empty(tmp_path, error):
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "there", tmp_path / "new" / "inner"):
        with contextlib.suppress(KeyboardInterrupt), alone_in(folder):
            assert folder.is_dir()
            if error:
                raise error
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_folder_that_something_came_into_stays_and_so_does_one_that_another_writes_in(tmp_path, holder):
    with alone_in(tmp_path / "new" / "inner"):
        (tmp_path / "new" / "file").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["new"] and (tmp_path / "new" / "file").exists()
    with pytest.raises(OutputError, match="another process"), alone_in(tmp_path):
        pass
    assert tmp_path.exists()
