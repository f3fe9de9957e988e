"""What TensorFlow Serving has to be told of an export, and how to ask it: files and commands."""

import re
import shlex
from pathlib import Path

import jinja2

from videorep.data.shards.json_types import MismatchError, listed, matching, optional, plain, record, typed, whole
from videorep.errors import OutputError, RunError
from videorep.exports import MODEL_NAME, find_versions, read_export
from videorep.storage import write_text_durably

MODELS, BATCHING = "models.config", "batching.config"
IMAGE = "tensorflow/serving"
GRPC, REST = 8500, 8501
MOST_TOGETHER, WAIT_MICROSECONDS = 32, 2000
TEMPLATES = jinja2.Environment(loader=jinja2.PackageLoader("videorep", "serving/templates"), keep_trailing_newline=True)
# Of an export's facts what becomes part of the commands, which people give to their shells.
NAME = matching(re.compile(r"\w{1,100}", re.ASCII), "a name of letters, digits and _")
INPUT = record({"name": NAME, "shape": listed(optional(whole(1, 1 << 20)), 2)}, plain())
require_known = record({"input": INPUT, "signatures": typed("an object", lambda value: type(value) is dict)}, plain())


def write_server_config(path, *, name=MODEL_NAME, overwrite=False):
    """Writes models.config and batching.config into the folder of an export's versions.

    Args:
        path: Folder that `videorep export` wrote.
        name: Of the model at the server.
        overwrite: Whether to replace files of these names.
    Returns:
        str: the commands that start the official image and ask it, over REST and gRPC.
    Raises:
        RunError: there is no export, or one that does not say what it takes.
        OutputError: files of these names are there, or the folder cannot be written.
    """
    folder, versions = Path(path), find_versions(path)
    if not versions or versions == [folder]:
        raise RunError(f"expected the folder of an export's numbered versions, received {path}; name what export wrote")
    facts = _read_facts(versions[-1])
    there = [name for name in (MODELS, BATCHING) if (folder / name).exists()]
    if there and not overwrite:
        raise OutputError(f"expected no {there[0]} in {path}, received one; add --overwrite to replace it")
    shape = facts["input"]["shape"]
    request = {
        "signature_name": "serving_default",
        "inputs": {facts["input"]["name"]: _zeros([1, 16, *shape[2:]] if shape[1] is None else [1, *shape[1:]])},
    }
    values = {
        "model": name,
        "volume": shlex.quote(f"{folder.resolve()}:/models/{name}"),
        "image": IMAGE,
        "grpc": GRPC,
        "rest": REST,
        "most": MOST_TOGETHER,
        "wait": WAIT_MICROSECONDS,
        "request": request,
        "padded": "classify_padded" in facts["signatures"],
        "videos": "describe" in facts["signatures"],
    }
    for each in (MODELS, BATCHING):
        write_text_durably(folder / each, TEMPLATES.get_template(each + ".j2").render(values))
    return TEMPLATES.get_template("commands.txt.j2").render(values)


def _read_facts(version):
    facts = {"signatures": {}} | read_export(version)  # earlier exports did not list them
    try:
        require_known(facts, "")
    except MismatchError as error:
        raise RunError(f"expected {version} to say what its model takes, received: {error}; export again") from error
    return facts


def _zeros(shape):
    """The words of Python for nested lists of zeros."""
    words = "0.0"
    for size in reversed(shape):
        words = f"[{words}] * {size}"
    return words
