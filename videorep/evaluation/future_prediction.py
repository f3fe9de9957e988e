"""How well a pretrained model reconstructs and predicts frames, beside predictions that need no learning."""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from videorep.config import DataConfig, PretrainConfig, require
from videorep.data.batches.sources import MOVING_MNIST, open_source
from videorep.data.shards.manifest import load_dataset
from videorep.errors import RunError, VideorepError
from videorep.evaluation import metrics
from videorep.evaluation.baselines import copy_last_frame, mean_frame, predict_mean_frame
from videorep.evaluation.caveats import predictor_caveats
from videorep.evaluation.data_checks import compare_backbones, require_finite
from videorep.models.pixels import to_unit_range
from videorep.progress import Reporter, SilentProgress
from videorep.runs import Run

BATCH_SEQUENCES = 50
MEAN_FRAME_SEQUENCES = 2000
GENERATED_SEQUENCES = 2000
MODEL, TEACHER_FORCED = "model", "model, fed with true frames"
COPY, MEAN = "copy the last frame", "predict the mean frame"


def evaluate_future_prediction(
    run: Run,
    data: DataConfig | None = None,
    *,
    split: str = "test",
    limit: int | None = None,
    horizon: int | None = None,
    progress: Reporter | None = None,
) -> dict:
    """Scores a run's model, fed with its own output, and two trivial predictors on the same sequences.

    Args:
        run: A pretrained run (`videorep.runs.Run`).
        data: DataConfig; the run's own where None.
        split: Name of the split.
        limit: Sequences at most; by default all of a split, 2,000 of generated data.
        horizon: Future frames to predict; as trained where None.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict for JSON: "sequences" (how many were scored), "rows" (one dict of figures per predictor: "predictor",
        "<branch>_<metric>"), "future_by_frame" ({metric: {predictor: one figure per future frame}}),
        "probability_clipping" (see `metrics.CLIPPING`: what makes the cross entropy of copied frames finite),
        "warnings" (sentences on what makes the figures doubtful), and "left_out" where the training data, whose mean
        frame is a predictor, are not there any more.
    Raises:
        RunError: the run is no pretrained one, or the data do not fit it.
    Source: Srivastava et al. 2015, section 3.4 and table 2.
    """
    model, source, doubts = _open(run, data, split, horizon)
    if horizon and "future" not in model.decoders:
        raise RunError(
            f"expected a run that predicts the future for a horizon of {horizon}, received {run.path}, "
            f"which holds an {model.config.name}; leave --horizon out"
        )
    config = model.config
    limit = limit or (None if hasattr(source, "windows") else GENERATED_SEQUENCES)
    scores = Scores(config, source.frame_shape)
    mean, reason = _training_mean(run)
    predict = tf.function(lambda frames: _predict(model, config, frames), reduce_retracing=True)
    with (progress or SilentProgress()).task("Predicting", total=limit, unit="sequences") as advance:
        for batch in source.evaluation(BATCH_SEQUENCES, limit):
            frames = _read(batch, run, data, split)
            scores.add(frames, {name: _arrays(each) for name, each in predict(frames).items()}, mean)
            advance(len(frames))
    missing = {} if reason is None else {"left_out": f"{MEAN}: {reason}"}
    result = scores.result()
    doubts = doubts + predictor_caveats(result["rows"], MODEL)
    return {"split": split, "sequences": scores.sequences, **result, "warnings": doubts, **missing}


def predict_sequences(
    run: Run,
    data: DataConfig | None = None,
    *,
    split: str = "test",
    count: int = 4,
    numbers: Sequence[int] | None = None,
    horizon: int | None = None,
) -> dict:
    """Lets a run's model, fed with its own output, reconstruct and continue sequences.

    The other arguments, and errors, as of `evaluate_future_prediction`.

    Args:
        count: Sequences at most, where no `numbers` are given.
        numbers: Which sequences, counted from 0 in the order of the split.
        horizon: Future frames to predict, and past ones, before the input, for the decoder of the reconstruction to
            run on to; as trained, and none, where None.
    Returns:
        dict: "inputs" (B, T, D), "future" (B, F, D), the true one (None for an autoencoder), "outputs" ({"past",
        "reconstruction", "future": (B, frames, D)}, those that there are), all float32 and in the order of time, and
        "frame_shape" ((H, W, C), None for percepts).
    """
    model, source, _ = _open(run, data, split, horizon)
    batch = next(iter(source.evaluation(count, count))) if numbers is None else _pick(source, numbers)
    frames = _read(batch, run, data, split)
    inputs, future = np.split(frames, [model.config.input_frames], axis=1)
    outputs = _arrays(model({"frames": inputs}, training=False))
    if horizon and "reconstruction" in model.decoders:
        decoder = model.decoders["reconstruction"].with_frames(horizon + model.config.input_frames)
        emitted = model.emitted({"reconstruction": decoder(model.encode(inputs))})
        outputs["past"] = emitted["reconstruction"].numpy()[:, :horizon]
    has_future = "future" in model.decoders
    return {
        "inputs": inputs,
        "future": future if has_future else None,
        "outputs": outputs,
        "frame_shape": source.frame_shape,
    }


def _open(run, data, split, horizon):
    """The run's model, with another horizon where one is given, the source of its sequences, and what is doubtful."""
    if not isinstance(run.config, PretrainConfig):
        raise RunError(f"expected a run of `videorep pretrain`, received {run.path}, a {run.config.kind} run")
    model = run.model()
    if horizon and "future" in model.decoders:
        model = model.with_horizon(horizon)
    data = data or run.config.data
    source = open_source(data, split, model.config.sequence_frames)
    if source.features != model.config.features:
        raise RunError(
            f"expected frames of {model.config.features} values, as {run.path} was trained on, received "
            f"{source.features}; evaluate on data of the same kind"
        )
    return model, source, [] if data.path == MOVING_MNIST else compare_backbones(run, load_dataset(data.path))


def _pick(source, numbers):
    """The batch of the sequences of these numbers, in their order."""
    end = max(numbers, default=-1) + 1
    sequences = source.evaluation(1, None if hasattr(source, "windows") else end)
    found = {number: each["frames"] for number, each in zip(range(end), sequences, strict=False) if number in numbers}
    require(0 < len(found) == len(set(numbers)), "numbers of sequences", "numbers that the split has", list(numbers))
    return {"frames": tf.concat([found[number] for number in numbers], axis=0)}


def _read(batch, run, data, split):
    """The frames of a batch (B, T, D), in the units of the model."""
    frames = to_unit_range(batch["frames"]).numpy()
    require_finite(frames, (data or run.config.data).path, lambda _: f"split {split!r}")
    return frames


def _arrays(outputs):
    return {branch: frames.numpy() for branch, frames in outputs.items()}


def _predict(model, config, frames):
    """{predictor: {branch: (B, T or F, D)}}: the model on its own, and fed with true frames where it is conditional."""
    inputs = frames[:, : config.input_frames]
    outputs = {MODEL: model({"frames": inputs}, training=False)}
    if config.conditional:
        teacher = {"reconstruction": inputs, "future": frames[:, config.input_frames :]}
        outputs[TEACHER_FORCED] = model.emitted(model.logits(inputs, teacher))
    return outputs


def _training_mean(run):
    """The mean frame of the data that the run was trained on; or None, and why they cannot be read any more."""
    try:
        source = open_source(run.config.data, "train", run.config.model.sequence_frames)
    except VideorepError as error:
        return None, str(error)
    sequences = min(MEAN_FRAME_SEQUENCES, getattr(source, "windows", MEAN_FRAME_SEQUENCES))
    batches = source.training(min(BATCH_SEQUENCES, sequences), run.config.training.seed)
    mean = mean_frame((to_unit_range(batch["frames"]).numpy() for batch in batches), sequences)
    return (mean, None) if np.isfinite(mean).all() else (None, "the training data hold NaN or infinity")


@dataclasses.dataclass
class Scores:
    """Running sums of every predictor's figures, of frames of a `frame_shape` (H, W, C), or of percepts where None."""

    config: object
    frame_shape: tuple | None

    def __post_init__(self):
        self.sequences = 0
        self._sums = collections.defaultdict(float)

    def add(self, frames, outputs, mean):
        """Counts one batch: frames (B, T + F, D), {predictor: {branch: frames}} and the mean frame (D,) or None."""
        inputs, future = np.split(frames, [self.config.input_frames], axis=1)
        targets = {"reconstruction": inputs, "future": future}
        predictions = {name: dict(branches) for name, branches in outputs.items()}
        branches, probabilities = self.config.branches, self.config.output == "bernoulli"
        if mean is not None:
            predictions[MEAN] = {branch: predict_mean_frame(mean, *targets[branch].shape[:2]) for branch in branches}
        if "future" in branches:
            predictions[COPY] = {"future": copy_last_frame(inputs, future.shape[1])}
        for name, branches in predictions.items():
            for branch, predicted in branches.items():
                figures = metrics.frame_figures(targets[branch], predicted, self.frame_shape, probabilities)
                for figure, values in figures.items():
                    self._sums[name, branch, figure] += values.sum(axis=0)
        self.sequences += len(frames)

    def result(self):
        """What `evaluate_future_prediction` returns, from all batches."""
        rows, by_frame = {}, {}
        for (name, branch, figure), total in self._sums.items():
            mean = total / self.sequences
            rows.setdefault(name, {"predictor": name})[f"{branch}_{figure}"] = float(mean.mean())
            if branch == "future":
                by_frame.setdefault(figure, {})[name] = mean.tolist()
        columns = sorted({key for row in rows.values() for key in row} - {"predictor"}, key=_column_order)
        table = [{"predictor": name, **{key: row.get(key) for key in columns}} for name, row in rows.items()]
        return {"rows": table, "future_by_frame": by_frame, "probability_clipping": metrics.CLIPPING}


def _column_order(column):
    branch, _, figure = column.partition("_")
    return ("future", "reconstruction").index(branch), figure
