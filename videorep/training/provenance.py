"""What a run was made from and with, and whether a resumed run still has it."""

import keras
import numpy as np
import tensorflow as tf

import videorep
from videorep.data.shards.hashes import hash_file
from videorep.errors import RunError
from videorep.runs import require_same


def versions():
    """Versions of videorep and of what decides its numbers."""
    return {
        "videorep": videorep.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "backend": keras.backend.backend(),
    }


def of_pretrained(run):
    """What a run records of the run that it starts from: its model by hash, and what that was made from."""
    return {"path": str(run.path), "model_sha256": hash_file(run.model_path), "provenance": run.provenance}


def resume(path, begun, now):
    """What a resumed run records: what it was begun with, and other versions beside the first ones.

    Args:
        path: The run's folder.
        begun, now: The provenance that is there, and that of the present command.
    Returns:
        (provenance, the versions that differ from those that came last, in words; empty where none does).
    Raises:
        RunError: the data, or the model to start from, are others.
    """
    apart = ("versions", "resumed_with")
    made_from = ({name: value for name, value in each.items() if name not in apart} for each in (begun, now))
    require_same(path, "data and models", *made_from, "restore these")
    history = [begun.get("versions"), *(begun.get("resumed_with") or ())]
    if not all(isinstance(each, dict) for each in history):
        raise RunError(f"expected versions in the provenance of {path}, received {history!r}; restore provenance.json")
    last, present = history[-1], now["versions"]
    changed = [f"{name} {last.get(name)}, now {present[name]}" for name in present if last.get(name) != present[name]]
    later = [*history[1:], present] if changed else history[1:]
    return begun | ({"resumed_with": later} if later else {}), "; ".join(changed)
