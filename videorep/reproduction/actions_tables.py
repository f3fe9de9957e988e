"""From the comparisons of every split to the paper's tables, with its figures beside."""

import numpy as np

from videorep.comparison.summary import FINETUNED, RANDOM, SINGLE
from videorep.reproduction.published import COMPOSITE, LSTM, PUBLISHED, SMALL

TITLES = {
    "Table 1": "action recognition, all labelled videos",
    "Table 3": "pretrained models, few and all labelled videos, RGB",
    "Table 4": "streams and their fusion, composite, finetuned, all labelled videos",
    "Figure 12": "labelled videos per class, RGB",
}


def make_tables(comparisons):
    """The tables, as values for JSON.

    Args:
        comparisons: {data set: {split: what `videorep.comparison.compare` returned}}.
    Returns:
        [{"name", "title", "columns", "rows": [{"method", "cells": [cell per column]}]}, ...]. A cell is in per cent:
        "parts", a list of {"part": split, "mean", "deviation"} over draws, "mean" and "deviation" of the draws'
        averages over the splits (None where a split was not measured so), and "paper", or None.
    """
    return [_make_table(name, comparisons) for name in TITLES]


def make_curves(comparisons):
    """{data set: {method: {videos per class as text: each draw's average over the splits}}}; all labels are a mean."""
    curves = {}
    for data, splits in comparisons.items():
        everything = np.mean([each["training_videos"] / len(each["classes"]) for each in splits.values()])
        for method, contender in _contenders("Figure 12").items():
            for count in _counts(splits):
                draws = _accuracies(splits, contender, count)
                if len(draws) == len(splits):
                    line = curves.setdefault(data, {}).setdefault(method, {})
                    line[str(count or everything)] = np.mean(list(draws.values()), 0).tolist()
    return curves


def _make_table(name, comparisons):
    columns = [column for data, splits in comparisons.items() for column in _columns(name, data, splits)]
    rows = [
        {"method": method, "cells": [_cell(comparisons, contender, PUBLISHED[name][method], *each) for each in columns]}
        for method, contender in _contenders(name).items()
    ]
    rows = [row for row in rows if any(cell["parts"] for cell in row["cells"])]
    return {"name": name, "title": TITLES[name], "columns": [column[0] for column in columns], "rows": rows}


def _contenders(name):
    """{method, as `PUBLISHED` calls it: contender of the comparison}."""
    composite = f"pretrained composite, {FINETUNED}"
    if name == "Table 4":
        return {"RGB": composite, "flow": f"{composite}, flow", "RGB and flow": f"{composite}, fused"}
    others = {"single frame": SINGLE, LSTM: RANDOM, COMPOSITE: composite}
    return {
        method: others.get(method, f"pretrained {method.replace(' ', '-')}, {FINETUNED}") for method in PUBLISHED[name]
    }


def _columns(name, data, splits):
    """(title, data set, key in `PUBLISHED`, end of the contender's name, number of labels)."""
    counts = _counts(splits)
    if name == "Table 1":
        flow = any(each["contender"].endswith(", flow") for one in splits.values() for each in one["results"])
        return [(f"{data} {key}", data, key, end, 0) for key, end in (("rgb", ""), ("flow", ", flow"))[: 1 + flow]]
    if name == "Table 4":
        return [(data, data, "all", "", 0)]
    if name == "Figure 12":
        return [(f"{data}, {count or 'all'}", data, str(count or "all"), "", count) for count in counts]
    few = max((count for count in counts if 0 < count <= SMALL.get(data, count)), default=None)
    # the paper's figure is of its own number of labels
    small = [(f"{data}, {few}", data, "small" if few == SMALL.get(data) else "", "", few)] if few else []
    return [*small, (f"{data}, all", data, "all", "", 0)]


def _counts(splits):
    """Numbers of labels that every split was measured with, all last."""
    shared = set.intersection(*({row["videos_per_class"] for row in each["results"]} for each in splits.values()))
    return sorted(shared, key=lambda count: (count == 0, count))


def _cell(comparisons, contender, published, _, data, key, end, count):
    splits = comparisons[data]
    draws = _accuracies(splits, contender + end, count)
    each = [{"part": f"split {number}"} | _describe(draws[number]) for number in draws]
    average = np.mean(list(draws.values()), 0) if len(draws) == len(splits) else ()
    return {"parts": each} | _describe(average) | {"paper": published.get((data, key))}


def _accuracies(splits, contender, count):
    """{split: accuracies of the draws}, of those splits that were measured so."""
    return {
        number: row["accuracies"]
        for number, each in splits.items()
        for row in each["results"]
        if (row["contender"], row["videos_per_class"]) == (contender, count)
    }


def _describe(accuracies):
    percent = 100 * np.asarray(accuracies)
    mean = float(np.mean(percent)) if len(percent) else None
    return {"mean": mean, "deviation": float(np.std(percent, ddof=1)) if len(percent) > 1 else None}
