"""What TensorFlow Serving has to be told of an export, and how to ask it: files and commands."""

import shlex
from pathlib import Path

import jinja2

from videorep.errors import OutputError, RunError
from videorep.exports import MODEL_NAME, find_versions, read_facts
from videorep.storage import write_text_durably

MODELS, BATCHING = "models.config", "batching.config"
IMAGE = "tensorflow/serving"
GRPC, REST = 8500, 8501
MOST_TOGETHER, WAIT_MICROSECONDS = 32, 2000
TEMPLATES = jinja2.Environment(loader=jinja2.PackageLoader("videorep", "serving/templates"), keep_trailing_newline=True)


def write_server_config(path, *, name=MODEL_NAME, overwrite=False):
    """Writes models.config and batching.config into the folder of an export's versions.

    Args:
        path: Folder that `videorep export` wrote.
        name: Of the model at the server.
        overwrite: Whether to replace files of these names.
    Returns:
        str: the commands that start the official image and ask it, over REST and gRPC.
    Raises:
        RunError: there is no export.
        OutputError: files of these names are there, or the folder cannot be written.
    """
    folder, versions = Path(path), find_versions(path)
    if not versions or versions == [folder]:
        raise RunError(f"expected the folder of an export's numbered versions, received {path}; name what export wrote")
    facts = read_facts(versions[-1])
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
        "padded": "classify_padded" in facts.get("signatures", {}),
        "videos": "describe" in facts.get("signatures", {}),
    }
    for each in (MODELS, BATCHING):
        write_text_durably(folder / each, TEMPLATES.get_template(each + ".j2").render(values))
    return TEMPLATES.get_template("commands.txt.j2").render(values)


def _zeros(shape):
    """The words of Python for nested lists of zeros."""
    words = "0.0"
    for size in reversed(shape):
        words = f"[{words}] * {size}"
    return words
