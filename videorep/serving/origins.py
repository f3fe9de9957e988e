"""Where an exported model comes from, and what kind of frames it takes."""

from videorep.data.shards.hashes import hash_file
from videorep.runs import CONFIG, MODEL


def describe_origin(run):
    """ "run" (its folder), its "kind", "config_sha256" and "model_sha256" (of its files), "provenance" (its record)."""
    return {
        "run": str(run.path),
        "kind": run.config.kind,
        "config_sha256": hash_file(run.path / CONFIG),
        "model_sha256": hash_file(run.path / MODEL),
        "provenance": run.provenance,
    }


def describe_input(run):
    """What a run's model takes: "kind", and what tells more of it.

    One of "percepts" (then with their "backbone", as dataset.json's settings name it), "pixels", "patches" (of frames;
    both in [0, 1], with their "frame_shape", (H, W, C)), "flow" and "rgb" (of a train-stream run, with "flow_stack",
    fields per stack).
    """
    config = run.config
    data = table(run.provenance.get("data"))
    if config.kind == "stream":
        return {"kind": config.model.stream} | (
            {"flow_stack": config.model.flow_stack} if config.model.stream == "flow" else {}
        )
    if isinstance(data.get("frame_shape"), list):
        return {"kind": "patches" if config.data.patch else "pixels", "frame_shape": data["frame_shape"]}
    return {"kind": "percepts", "backbone": data.get("backbone") or {}}


def table(value):
    """A dict of provenance as it is, and {} in the place of whatever else stands there."""
    return value if isinstance(value, dict) else {}
