"""From the scores of every training to the paper's table 2, with its figures beside."""

import numpy as np

from videorep.evaluation.metrics import STANDARDISED
from videorep.evaluation.scores import COPY
from videorep.reproduction.prediction_settings import DIGITS, PATCHES, VARIANTS
from videorep.reproduction.published import TABLE_2

UNITS = {
    DIGITS: ("future_cross_entropy_per_frame", "cross entropy, nats"),
    PATCHES: (f"future_{STANDARDISED}", "half squared error, standardised"),
}
MODEL = "model"


def make_tables(scores):
    """Table 2, and all other figures of the future for every kind of sequences.

    Args:
        scores: {kind of sequences: {model: {seed: what `evaluate_future_prediction` returned}}}.
    Returns:
        As `videorep.report.write_reproduction` takes them; a part is a seed.
    """
    columns = {f"{data}, {UNITS[data][1]}": (data, UNITS[data][0]) for data in scores}
    tables = [_make_table("Table 2", "future frames, per frame, each model fed with its own output", columns, scores)]
    for row, name in zip(tables[0]["rows"], next(iter(scores.values())), strict=False):  # models come first
        for cell, data in zip(row["cells"], scores, strict=True):
            cell["paper"] = TABLE_2[name][data]
    for data, models in scores.items():
        rows = [row for seeds in models.values() for result in seeds.values() for row in result["rows"]]
        figures = dict.fromkeys(figure for row in rows for figure in row if figure.startswith("future_"))
        named = {figure.removeprefix("future_").replace("_", " "): (data, figure) for figure in figures}
        tables.append(_make_table(data, "every figure of the future", named, {data: models}))
    return tables


def find_orders(scores):
    """A sentence for each kind of sequences: whether the models come in the paper's order."""
    sentences = []
    for data, models in scores.items():
        figure = UNITS[data][0]
        means = {name: np.mean(_values(seeds, MODEL, figure)) for name, seeds in models.items() if name in VARIANTS}
        ours = sorted(means, key=means.get, reverse=True)
        paper = sorted(means, key=lambda name: -TABLE_2[name][data])
        verdict = "is the paper's" if ours == paper else f"is not the paper's ({', '.join(paper)})"
        sentences.append(f"{data}: from the worst to the best, the order is {', '.join(ours)}, which {verdict}.")
    return sentences


def find_copied(scores):
    """A sentence for each kind of sequences whose copied last frame is closer to some frames than every model is."""
    sentences = []
    for data, models in scores.items():
        curves = average_by_frame(models, UNITS[data][0].removeprefix("future_"))
        best = np.min([curve for name, curve in curves.items() if name.replace(" ", "-") in models], axis=0)
        frames = np.flatnonzero(np.array(curves[COPY]) < best) + 1
        if len(frames):
            named = ", ".join(map(str, frames))
            sentences.append(f"{data}: copying the last frame is better than every model at future frame {named}.")
    return sentences


def average_by_frame(models, unit):
    """{model or predictor: a figure of each future frame, averaged over the seeds}, of models on their own."""
    curves = {}
    for name, seeds in models.items():
        for predictor in next(iter(seeds.values()))["future_by_frame"].get(unit, {}):
            values = [result["future_by_frame"][unit][predictor] for result in seeds.values()]
            title = name.replace("-", " ") if predictor == MODEL else predictor
            if predictor == MODEL or not predictor.startswith(MODEL):
                curves.setdefault(title, np.mean(values, axis=0).tolist())
    return curves


def _make_table(name, title, columns, scores):
    models, kinds = next(iter(scores.values())), columns.values()
    rows = [(model.replace("-", " "), model, MODEL) for model in models]
    predictors = [row["predictor"] for seeds in models.values() for result in seeds.values() for row in result["rows"]]
    others = dict.fromkeys(predictor for predictor in predictors if not predictor.startswith(MODEL))
    rows += [(predictor, rows[0][1], predictor) for predictor in others]  # the same beside all models
    return {
        "name": name,
        "title": title,
        "columns": list(columns),
        "rows": [
            {"method": method, "cells": [_cell(scores[data][model], predictor, figure) for data, figure in kinds]}
            for method, model, predictor in rows
        ],
    }


def _cell(seeds, predictor, figure):
    values = _values(seeds, predictor, figure)
    several = len(values) > 1 and predictor == MODEL
    return {
        "parts": [
            {"part": f"seed {seed}", "mean": mean, "deviation": None}
            for seed, mean in zip(seeds, values, strict=True)
            if several
        ],
        "mean": None if None in values else float(np.mean(values)),
        "deviation": float(np.std(values, ddof=1)) if several else None,
        "paper": None,
    }


def _values(seeds, predictor, figure):
    return [
        next((row.get(figure) for row in result["rows"] if row["predictor"] == predictor), None)
        for result in seeds.values()
    ]
