"""The process that runs parsers on what was made for them: python worker.py DESCRIPTOR, requests come as lines of JSON.

It may be killed, crash or run out of memory; whoever started it draws the conclusions.
"""

import contextlib
import dataclasses
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from fuzzing import readers, samples
from fuzzing.parsers import PARSERS

SECONDS, MEBIBYTES = 10, 1024
SPARE_BYTES = 6 << 30  # of address space, which threads and TensorFlow reserve without taking it
CASES_PER_CLEARING = 100  # of what Keras remembers of models; it takes a third of a second
REFUSED, SAME, OTHER = "refused", "same", "other"
FINDINGS = ("error", "silent", "slow", "memory", "killed")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of one case: `kind` is refused, same or other (than the sound result), or one of `FINDINGS`."""

    kind: str
    detail: str = ""
    seconds: float = 0.0
    mebibytes: float = 0.0


def make_sound(name, folder):
    """Makes a parser's sound files below a folder, once for all parsers that share them; returns where they are."""
    folder = folder / PARSERS[name].make.__name__
    if not folder.exists():
        begun = folder.with_name(folder.name + ".unfinished")
        begun.mkdir(parents=True)
        PARSERS[name].make(begun)
        begun.rename(folder)
    return folder


def examine(name, folder, expected, exact):
    """Runs a parser on a folder and judges what comes out.

    Args:
        name: The parser's.
        folder: The files.
        expected: The result of the sound files.
        exact: Whether another result is wrong.
    """
    processes = _reset_peaks()
    began, cpu = time.monotonic(), time.process_time()
    kind, detail = _judge(name, folder, expected, exact)
    # Other programs may keep the machine busy, so only time spent computing counts; who waits is stopped from outside.
    seconds = min(time.monotonic() - began, time.process_time() - cpu)
    grown = max(_status(process, "VmHWM") - before for process, before in processes.items()) / 1024
    if kind not in FINDINGS and seconds > SECONDS:
        kind, detail = "slow", f"takes over {SECONDS} s ({kind}: {detail})"
    if kind not in FINDINGS and grown > MEBIBYTES:
        kind, detail = "memory", f"takes over {MEBIBYTES} MiB ({kind}: {detail})"
    return Verdict(kind, detail, round(seconds, 2), round(grown))


def _judge(name, folder, expected, exact):
    try:
        result = PARSERS[name].read(folder)
    except readers.refusal() as error:
        return REFUSED, str(error)
    except readers.WrongResultError as error:
        return "silent", str(error)
    except Exception as error:
        return "error", f"{type(error).__name__}: {_shorten(error)} at {_place(error)}"
    if result == expected:
        return SAME, ""
    return ("silent" if exact else OTHER), "another result than of the sound files" if exact else ""


def _shorten(error):
    return " ".join(str(error).split())[:160]


def _place(error):
    """The last line of videorep, or of tools, that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/videorep/" in frame.filename or "/fuzzing/" in frame.filename]
    last = (ours or frames)[-1]
    return f"{last.filename.split('/videorep/')[-1].split('/tools/')[-1]}:{last.lineno} ({last.name})"


def _reset_peaks():
    """{process: resident KiB} of this process and its children, whose peaks count from now on."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    processes = [str(os.getpid()), *(children.read_text().split() if children.exists() else ())]
    for process in processes:
        with contextlib.suppress(OSError):
            Path(f"/proc/{process}/clear_refs").write_text("5")
    return {process: _status(process, "VmHWM") for process in processes}


def _status(process, key):
    """A size in KiB that the kernel tells of a process; 0 where it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1])
    return 0


def prepare():
    """Loads what parsers need and limits the process."""
    import keras

    import videorep.models  # noqa: F401

    keras.applications.tinynet = samples.tinynet
    resource.setrlimit(resource.RLIMIT_AS, (1024 * _status("self", "VmSize") + SPARE_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_sound(name, folder):
    """The result of a copy of the sound files, since readers may write; None where the parser refuses even these."""
    try:
        with tempfile.TemporaryDirectory() as copy:
            return PARSERS[name].read(Path(shutil.copytree(folder, copy, dirs_exist_ok=True)))
    except readers.refusal():
        return None


def _serve(replies):
    """Answers {"make": name, "folder"} and {"read": name, "folder", "sound", "exact"}, one line each."""
    import keras

    prepare()
    expected, cases = {}, 0
    for line in sys.stdin:
        request = json.loads(line)
        if "make" in request:
            answer = str(make_sound(request["make"], Path(request["folder"])))
        else:
            name = request["read"]
            if name not in expected:
                expected[name] = read_sound(name, Path(request["sound"]))
            verdict = examine(name, Path(request["folder"]), expected[name], request["exact"])
            answer = dataclasses.asdict(verdict)
            cases += 1
            if cases % CASES_PER_CLEARING == 0:
                keras.backend.clear_session()
        replies.write(json.dumps(answer) + "\n")
        replies.flush()


if __name__ == "__main__":
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    with open(int(sys.argv[1]), "w") as descriptor:
        _serve(descriptor)
