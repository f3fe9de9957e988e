"""What several pretrained models make of the same sequences."""

import numpy as np

from videorep.config import DataConfig
from videorep.errors import RunError
from videorep.evaluation.future_prediction import predict_sequences
from videorep.runs import Run


def predict_side_by_side(runs: dict[str, Run], data: DataConfig | None = None, **options: object) -> dict:
    """Lets the models of several runs reconstruct and continue the same sequences.

    Args:
        runs: {name: pretrained run}, at least one.
        data: DataConfig; that of the first run where None.
        options: Those of `predict_sequences`.
    Returns:
        dict: "inputs", "future" (the longest that a model predicts, or None) and "frame_shape" as of
        `predict_sequences`, and "models" ({name: its "outputs"}): what `videorep.figures.draw_strips` draws.
    Raises:
        RunError: as `predict_sequences`, and where the runs do not see the same sequences.
    Source: Srivastava et al. 2015, section 3.2, figures 5 and 6.
    """
    first = next(iter(runs.values()))
    made = {name: predict_sequences(run, data or first.config.data, **options) for name, run in runs.items()}
    shown = made[next(iter(runs))]
    futures = [each["future"] for each in made.values() if each["future"] is not None]
    future = max(futures, key=lambda each: each.shape[1], default=None)
    for name, each in made.items():
        if not np.array_equal(each["inputs"], shown["inputs"]):
            raise RunError(
                f"expected runs that see the same sequences, received {first.path}, which reads {_lengths(first)}, and "
                f"{runs[name].path}, which reads {_lengths(runs[name])}; draw runs of the same lengths, or give "
                "--horizon where only what they predict differs"
            )
    models = {name: each["outputs"] for name, each in made.items()}
    return {"inputs": shown["inputs"], "future": future, "models": models, "frame_shape": shown["frame_shape"]}


def _lengths(run):
    return f"{run.config.model.input_frames} frames and predicts {run.config.model.future_frames}"
