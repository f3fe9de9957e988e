"""Whether data are such that a trained model's figures on them mean something."""

import numpy as np

from videorep.errors import RunError, ShardError

# What of a backbone decides its percepts; that its file may have another name does not.
IDENTITY = ("weights_sha256", "layer", "pool", "preprocessing", "stream", "flow_stack", "crop")


def compare_backbones(run, dataset):
    """Compares the convnet that a dataset's percepts came of with that of a run's training data.

    Returns:
        List of what is doubtful, in sentences: one where only one of both is known, else none.
    Raises:
        RunError: they are known and differ.
    """
    trained, given = _trained_on(run), dataset.backbone
    if any(trained[key] != given[key] for key in IDENTITY if key in trained and key in given):
        raise RunError(
            f"expected percepts of {_name(trained)}, as {run.path} was trained on, received {dataset.folder} with "
            f"those of {_name(given)}; name percepts of the same backbone"
        )
    if bool(trained) == bool(given):
        return []
    silent = f"the training data of {run.path} do" if given else f"{dataset.folder} does"
    return [
        f"{silent} not say which backbone their percepts came of: nobody can tell whether it is "
        f"{_name(given or trained)}"
    ]


def require_finite(frames, folder, names):
    """Raises a ShardError where a sequence of (B, T, D) that were read from a folder holds no numbers.

    `names` gives the name of the sequence of a number.
    """
    flawed = np.flatnonzero(~np.isfinite(frames).all(axis=(1, 2)))
    if len(flawed):
        raise ShardError(
            f"expected finite values in {folder}, received NaN or infinity in {names(flawed[0])}; "
            "make these features anew: videorep verify names all records that are flawed"
        )


def _trained_on(run):
    try:
        data = run.provenance.get("data")
    except (OSError, ValueError, RunError):
        return {}
    backbone = data.get("backbone") if isinstance(data, dict) else None
    return backbone if isinstance(backbone, dict) else {}


def _name(backbone):
    stream = backbone.get("stream", "rgb")
    if stream == "flow":
        stream += f" in stacks of {backbone.get('flow_stack')}"
    weights = str(backbone.get("weights_sha256", "unknown"))[:12]
    return f"{backbone.get('backbone', 'a backbone')} (layer {backbone.get('layer')}, {stream}, weights {weights})"
