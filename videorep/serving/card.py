"""The model card of an export: what the model is, takes, was made from and scores, for who has only that.

Markdown with the front matter of Hugging Face's cards (https://huggingface.co/docs/hub/model-cards): a README.md there.
"""

import re

import jinja2

from videorep.progress import visible
from videorep.serving.origins import describe_input, table

CARD, LABELS, TEMPLATE = "model_card.md", "labels.txt", "model_card.md.j2"
COUNTED = ("videos", "blocks", "windows", "clips")  # of data, as provenance counts them


def write_card(run, facts, offers, scores=()):
    """The text of a run's model card.

    Args:
        run: A finished run.
        facts: `videorep.serving.origins.describe_origin` of it.
        offers: {what: names}, by which the model is used: signatures or files.
        scores: As `videorep.serving.scores.read_scores` gives them.
    """
    provenance, config = facts["provenance"], run.config
    data, init = table(provenance.get("data")), table(provenance.get("init"))
    begun = table(table(init.get("provenance")).get("data"))
    also = data.get("also")
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            name=run.path.resolve().name,
            kind=facts["kind"],
            model=config.model,
            training=config.training,
            classes=getattr(config.model, "classes", ()),
            taken=describe_input(run),
            offers=offers,
            data=[_describe_data(each) for each in (data, *(also if isinstance(also, list) else ())) if table(each)],
            clips=table(table(data.get("stages")).get("clips")),
            init=init,
            begun=begun and _describe_data(begun),
            sha256=facts["model_sha256"],
            versions=table(provenance.get("versions")),
            report={name: f"{value:.5g}" for name, value in run.last_report().items()},
            scores=scores,
        )
    )


def _describe_data(data):
    """A folder of shards, or generated digits, in words."""
    counts = [f"{data[name]:,} {name}" for name in COUNTED if isinstance(data.get(name), int)]
    per_class = data.get("videos_per_class")
    if isinstance(per_class, int) and per_class:
        counts.append(f"{per_class:,} of each class")
    return {
        "path": data.get("path") or data.get("generator"),
        "kind": data.get("kind") or data.get("digits"),
        "split": data.get("split"),
        "counts": ", ".join(counts),
        "shards": len(table(data.get("shards"))),
        "sha256": data.get("manifest_sha256"),
    }


def _environment():
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("videorep", "serving/templates"),
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": as_code, "cell": lambda value: as_code(value).replace("|", r"\|")}
    return environment


def as_code(value):
    """A name out of strangers' files as Markdown's code, which shows it letter by letter."""
    text = visible(str(value)).strip()
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text or not text else f"{fence}{text}{fence}"
