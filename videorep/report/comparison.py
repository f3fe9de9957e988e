"""The page of `videorep compare`: one file, its pictures within."""

import base64
from pathlib import Path

import jinja2
import numpy as np

from videorep.data.shards.manifest import load_dataset
from videorep.errors import ShardError
from videorep.figures.confusion import draw_confusion
from videorep.figures.contact_sheet import draw_clips
from videorep.figures.few_labels import draw_few_label_curve
from videorep.storage import write_text_durably

PAGE, TEMPLATE = "report.html", "comparison.html.j2"
WRONG = 12  # clips shown


def require_clips(clips, data):
    """Raises a ShardError where `clips` are no clip shards, or not those that the percepts `data` were made from."""
    dataset, made = load_dataset(clips), load_dataset(data).made.get("settings") or {}
    if dataset.kind != "clips":
        raise ShardError(
            f"expected clips in {clips}, received {dataset.kind}; name the clip shards, or leave --clips out"
        )
    if made.get("clips") not in (None, dataset.provenance["shards"]):
        raise ShardError(
            f"expected the clips that {data} was made from, received others, by hash, in {clips}; name those, or leave "
            "--clips out"
        )


def write_comparison_page(folder, result, clips=None):
    """Writes report.html, and its pictures beside it, of what `videorep.comparison.compare` returned.

    Args:
        clips: Folder of the clip shards that the percepts were made from, whose frames are shown; or None.
    Raises:
        OutputError, OSError: it cannot be written.
    """
    folder = Path(folder)
    curves = {"curve": ""} | {f"curve-{number}": stream for number, stream in enumerate(result["streams"], 2)}
    for name, stream in curves.items():
        draw_few_label_curve(folder / f"{name}.png", _lines(result, stream), _rows(result)["majority"][0]["mean"])
    best = max((each for each in result["results"] if not each["videos_per_class"]), key=lambda each: each["mean"])
    answered = np.array(result["answers"][best["contender"]])
    labels, classes = np.array(result["test_labels"]), result["classes"]
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (np.broadcast_to(labels, answered.shape), answered), 1)
    draw_confusion(folder / "confusion.png", counts, classes)
    wrong = _list_wrong(result, labels, answered)
    shown = (
        draw_clips(clips, folder / "wrong.png", {each["path"]: each["title"] for each in wrong[:WRONG]}) if clips else 0
    )
    names = [*curves, "confusion", *(["wrong"] if shown else [])]
    encoded = {name: base64.b64encode((folder / f"{name}.png").read_bytes()).decode() for name in names}
    environment = jinja2.Environment(loader=jinja2.PackageLoader("videorep", "report"), autoescape=True)
    page = environment.get_template(TEMPLATE).render(
        result=result,
        rows=_rows(result),
        tests=_pairs(result),
        counts=list(dict.fromkeys(each["videos_per_class"] for each in result["results"])),
        curves=curves,
        best=best,
        wrong=wrong,
        pictures={name: f"data:image/png;base64,{text}" for name, text in encoded.items()},
    )
    write_text_durably(folder / PAGE, page)


def _rows(result):
    """{contender: {number of labels: result}}, in the order in which they were measured."""
    rows = {}
    for each in result["results"]:
        rows.setdefault(each["contender"], {})[each["videos_per_class"]] = each
    return rows


def _pairs(result):
    """{(a, b): {number of labels: test}}."""
    pairs = {}
    for test in result["tests"]:
        pairs.setdefault((test["a"], test["b"]), {})[test["videos_per_class"]] = test
    return pairs


def _lines(result, stream):
    """Those of a stream, as `draw_few_label_curve` wants them; all labels stand at the mean number per class."""
    everything = result["training_videos"] / len(result["classes"])
    ends = tuple(f", {each}" for each in result["streams"])
    return {
        name.removesuffix(f", {stream}"): {count or everything: each["accuracies"] for count, each in row.items()}
        for name, row in _rows(result).items()
        if name != "majority" and (name.endswith(f", {stream}") if stream else not name.endswith(ends))
    }


def _list_wrong(result, labels, answered):
    """The test videos that were taken for another class, the most often first."""
    wrong = []
    for number, path in enumerate(result["test_paths"]):
        misses = answered[:, number][answered[:, number] != labels[number]]
        if len(misses):
            taken = result["classes"][np.bincount(misses).argmax()]
            is_class, share = result["classes"][labels[number]], len(misses) / len(answered)
            title = f"{path}: is {is_class}, taken for {taken} in {share:.0%} of the draws"
            wrong.append({"path": path, "label": is_class, "taken": taken, "share": share, "title": title})
    return sorted(wrong, key=lambda each: -each["share"])
