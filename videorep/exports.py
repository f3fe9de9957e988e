"""What tells an export: its versions, and the file in each that says which run it came from."""

import os
from pathlib import Path

from videorep.config_values import read_json
from videorep.errors import RunError
from videorep.storage import is_url

SAVED_MODEL = "saved_model.pb"
MODEL_NAME = "videorep"  # of an export at a server, unless told otherwise
FACTS = Path("assets.extra") / "run.json"  # a place that TensorFlow Serving leaves alone
STEP_FACTS = Path("run.json")  # of an export as LiteRT or ONNX, which has no versions


def find_versions(path):
    """The versions of an export, the newest last: `path` itself or the folders within it; empty where there is none.

    An export as LiteRT or ONNX counts as one.
    """
    folder = Path(path)
    if is_url(path) or not folder.is_dir():
        return []
    if any(os.path.lexists(folder / name) for name in (SAVED_MODEL, STEP_FACTS)):
        return [folder]
    found = [each for each in folder.iterdir() if each.name.isdecimal() and os.path.lexists(each / SAVED_MODEL)]
    return sorted(found, key=lambda each: int(each.name))


def facts_of(version):
    """The path within a version of the file that `read_facts` reads."""
    return FACTS if os.path.lexists(version / SAVED_MODEL) else STEP_FACTS


def read_export(version):
    """`read_facts` of a version; a RunError too where its SavedModel is no regular file."""
    if facts_of(version) == FACTS and not (version / SAVED_MODEL).is_file():
        raise RunError(f"expected {SAVED_MODEL} of an export in {version}, received no regular file; export again")
    return read_facts(version)


def read_facts(version):
    """What `videorep export` wrote down of an export's run; a RunError where it cannot be read."""
    return read_json(version / facts_of(version), "what an export was made from", "export again")
