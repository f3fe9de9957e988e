"""Whether a SavedModel answers outside of videorep as its model does here; `probe` looks at it in another process."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

from videorep.data.videos.workers import import_path
from videorep.errors import OutputError

PROBE = Path(__file__).with_name("probe.py")
LONGEST = 3600  # seconds; VGG-16 answers all requests in a minute


def check_export(folder, requests):
    """Has a process without videorep and Keras load a SavedModel and answer requests; its warm-up is replayed too.

    On the CPU alone: the server may have no GPU, and this process may hold the memory of the one that is here.

    Args:
        folder: Of the SavedModel.
        requests: `videorep.serving.requests.Request`s.
    Raises:
        OutputError: it cannot be loaded, or answers something else.
    """
    plain = [(each.signature, each.inputs, each.answer, each.tolerance) for each in requests]
    settings = {"PYTHONPATH": os.pathsep.join(import_path()), "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-P", str(PROBE), str(folder.resolve())]
    try:
        options = {"capture_output": True, "timeout": LONGEST, "env": os.environ | settings}
        ended = subprocess.run(command, input=pickle.dumps(plain), **options)
    except subprocess.TimeoutExpired:
        _fail(f"no answer within {LONGEST:,} s")
    if ended.returncode < 0:
        _fail(f"its end by {signal.Signals(-ended.returncode).name}, as where memory is short")
    if ended.returncode:
        lines = ended.stderr.decode(errors="replace").split("\n")
        _fail(next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {ended.returncode}"))


def _fail(received):
    raise OutputError(
        f"expected the SavedModel to answer outside videorep as the model does here, received: {received}; nothing was "
        "exported: export again, and report it if that helps not (--no-check leaves the comparison out)"
    )
