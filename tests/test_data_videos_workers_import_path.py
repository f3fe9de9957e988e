"""Nothing that lies in a data set is imported: not by workers, wherever the program is started and from whatever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import worker_tasks
from generated_videos import write_video

import videorep
from videorep.data.videos import workers
from videorep.data.videos.workers import WorkerPool, import_path

ROOT = str(Path(videorep.__file__).resolve().parents[1])
PLANTED = ("queue", "cv2", "pickle", "numpy", "struct", "videorep_extension")


def plant(folder):
    """Modules that leave a mark where they are executed."""
    folder.mkdir(exist_ok=True)
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"open({str(folder / ('EXECUTED-' + name))!r}, 'w').close()\n")
    return folder


def executed(*folders):
    return [path.name for folder in folders for path in folder.glob("EXECUTED-*")]


def ask(name):
    """The file that a worker imports under that name; None if there is none."""
    with WorkerPool(1, 60.0) as pool:
        return next(pool.map(worker_tasks.find_module, [(name,)]))[0]


@pytest.mark.parametrize("first", ["", ".", "absolute"])
def test_workers_import_nothing_from_the_current_folder(tmp_path, monkeypatch, first):
    folder = plant(tmp_path / "data")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder) if first == "absolute" else first, *sys.path])
    assert str(folder) not in import_path() and all(map(os.path.isabs, import_path()))
    assert [ask(name) for name in ("queue", "cv2", "numpy")] != [None] * 3 and ask("videorep_extension") is None
    assert executed(folder) == []


def test_workers_import_nothing_from_the_folder_of_a_script_that_lies_among_data(tmp_path, monkeypatch):
    folder = plant(tmp_path / "data")
    main = type(sys)("__main__")
    main.__file__ = str(folder / "script.py")
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    assert str(folder) not in import_path()


def test_folders_that_pythonpath_names_are_kept_and_relative_ones_are_not(tmp_path, monkeypatch):
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / "videorep_extension.py").touch()
    monkeypatch.chdir(tmp_path / "named")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "named"), *sys.path])
    for value, kept in ((str(tmp_path / "named"), True), (".", False), ("", False), (f":{tmp_path}", False)):
        monkeypatch.setenv("PYTHONPATH", value)
        assert (str(tmp_path / "named") in import_path()) == kept
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "named"))
    assert ask("videorep_extension") == str(tmp_path / "named" / "videorep_extension.py")


def test_workers_find_videorep_where_the_caller_found_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if Path(entry).resolve() != Path(ROOT)])
    assert import_path()[-1] == ROOT
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", ["", ROOT, *sys.path])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert import_path()[0] == ROOT


def test_a_decoders_complaints_need_no_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(workers.tempfile, "TemporaryFile", None)
    with workers.anonymous_file() as file:
        file.write(b"complaint")
        file.seek(0)
        assert file.read() == b"complaint"


@pytest.mark.parametrize("start", ["module", pytest.param("script", marks=pytest.mark.slow)])
def test_a_build_of_a_data_set_that_brings_modules_runs_none_of_them(tmp_path, start):
    data, current = plant(tmp_path / "data"), plant(tmp_path / "current")
    write_video(data / "a.mp4", 5)
    command = {
        "script": ["-P", "-c", "from videorep.cli.main import main; main()"],
        "module": ["-m", "videorep.cli.main"],
    }[start]
    arguments = ["build-shards", "clips", str(data), "--out", str(tmp_path / "out"), "--workers", "1"]
    environment = os.environ | {"PYTHONPATH": ROOT}
    where = current if start == "script" else data
    done = subprocess.run([sys.executable, *command, *arguments], cwd=where, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert executed(data, current) == []
