"""The model card that lies in an export's assets: what the model is, takes and was made from, for who has only that."""

CARD, LABELS = "model_card.md", "labels.txt"
KINDS = {
    "pretrain": "An encoder-decoder of frame sequences, trained without labels (Srivastava et al. 2015).",
    "finetune": "A classifier of videos (Srivastava et al. 2015).",
    "stream": "A convnet that classifies frames or stacks of optical flow (Simonyan and Zisserman 2014).",
}

LIMITS = """## Limits

What it says holds for videos like those that it was trained on; of others its answers mean nothing. What it was made
from, by hash: assets.extra/run.json.
"""


def write_card(run, facts):
    """The text of a run's model card; `facts` as `videorep.serving.export.describe` gives them."""
    taken, provenance = facts["input"], facts["provenance"]
    data = provenance.get("data")
    data = data if isinstance(data, dict) else {}
    versions, classes = provenance.get("versions"), getattr(run.config.model, "classes", ())
    lines = {
        "Takes": f"{taken['kind']}, {taken['shape']} {taken['dtype']}",
        "Percepts by": (taken.get("backbone") or {}).get("backbone"),
        "Classes": f"{len(classes)}, in {LABELS}" if classes else None,
        "Signatures": ", ".join(facts["signatures"]),
        "Precision of training": run.config.training.precision,
        "Trained on": data.get("path"),
        "Model": f"SHA-256 {facts['model_sha256']}",
        "Made with": _listed(versions),
        "Last report of training": _listed(run.last_report()),
    }
    table = "\n".join(f"- {name}: {value}" for name, value in lines.items() if value)
    return f"# {run.path.name}\n\n{KINDS[facts['kind']]}\n\n{table}\n\n{LIMITS}"


def _listed(values):
    return ", ".join(f"{name} {each}" for name, each in values.items()) if isinstance(values, dict) else None
