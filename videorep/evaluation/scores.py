"""Figures of predicted frames, of a model and of predictors that need no learning, summed batch by batch."""

import collections
import dataclasses

import numpy as np

from videorep.evaluation import metrics
from videorep.evaluation.baselines import copy_last_frame, predict_black, predict_mean_frame

COPY, MEAN, BLACK = "copy the last frame", "predict the mean frame", "predict black"


@dataclasses.dataclass
class Scores:
    """Running sums of every predictor's figures.

    Args:
        config: ModelConfig.
        frame_shape: (H, W, C) of frames that are pictures, None of percepts.
        mean: (D,), the mean frame; None leaves this predictor out.
        deviation: (D,), what values are divided by for an error in standardised units; None leaves it out.
    """

    config: object
    frame_shape: tuple | None
    mean: np.ndarray | None = None
    deviation: np.ndarray | None = None

    def __post_init__(self):
        self.sequences = 0
        self._sums = collections.defaultdict(float)

    def add(self, frames, outputs):
        """Counts one batch: frames (B, T + F, D) and {predictor: {branch: frames}}."""
        inputs, future = np.split(frames, [self.config.input_frames], axis=1)
        targets = {branch: {"reconstruction": inputs, "future": future}[branch] for branch in self.config.branches}
        predictions = {name: dict(branches) for name, branches in outputs.items()}
        if self.mean is not None:
            predictions[MEAN] = {name: predict_mean_frame(self.mean, *each.shape[:2]) for name, each in targets.items()}
        if self.frame_shape is not None:
            predictions[BLACK] = {name: predict_black(each.shape) for name, each in targets.items()}
        if "future" in targets:
            predictions[COPY] = {"future": copy_last_frame(inputs, future.shape[1])}
        for name, branches in predictions.items():
            for branch, predicted in branches.items():
                for figure, values in self._figures(targets[branch], predicted).items():
                    values = np.column_stack([values, values.mean(axis=1)])  # of each frame, and of the sequence
                    self._sums[name, branch, figure] += np.stack([values, values**2]).sum(axis=1)
        self.sequences += len(frames)

    def _figures(self, targets, predicted):
        figures = metrics.frame_figures(targets, predicted, self.frame_shape, self.config.output == "bernoulli")
        if self.deviation is not None:
            errors = metrics.squared_errors(targets / self.deviation, predicted / self.deviation)
            figures[metrics.STANDARDISED] = errors / 2
        return figures

    def result(self):
        """What `evaluate_future_prediction` returns, from all batches."""
        means, errors = {}, {}
        for key, (total, squares) in self._sums.items():
            mean = means[key] = total / self.sequences
            variance = np.maximum(squares / self.sequences - mean**2, 0) / max(self.sequences - 1, 1)
            errors[key] = np.sqrt(variance) if self.sequences > 1 else np.full(len(mean), None)
        given = {figure: metrics.DEFINITIONS[figure] for figure in dict.fromkeys(figure for _, _, figure in means)}
        return {
            "rows": _by_predictor(means),
            "standard_errors": _by_predictor(errors),
            "future_by_frame": _by_frame(means),
            "future_by_frame_standard_errors": _by_frame(errors),
            "definitions": given,
            "probability_clipping": metrics.CLIPPING,
        }


def _by_predictor(figures):
    """One row per predictor, of what stands behind those of the frames in {(predictor, branch, figure): (F + 1,)}."""
    rows = {}
    for (name, branch, figure), values in figures.items():
        rows.setdefault(name, {"predictor": name})[f"{branch}_{figure}"] = values.tolist()[-1]
    columns = sorted({key for row in rows.values() for key in row} - {"predictor"}, key=_column_order)
    return [{"predictor": name, **{key: row.get(key) for key in columns}} for name, row in rows.items()]


def _by_frame(figures):
    by_frame = {}
    for (name, branch, figure), values in figures.items():
        if branch == "future":
            by_frame.setdefault(figure, {})[name] = values.tolist()[:-1]
    return by_frame


def _column_order(column):
    branch, _, figure = column.partition("_")
    return ("future", "reconstruction").index(branch), figure
