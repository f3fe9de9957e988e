"""How well a pretrained model reconstructs and predicts frames, beside predictions that need no learning."""

import collections
import dataclasses

import numpy as np
import tensorflow as tf

from videorep.config import PretrainConfig
from videorep.data.pipeline import open_source
from videorep.errors import RunError
from videorep.evaluation import metrics
from videorep.evaluation.baselines import copy_last_frame, mean_frame, predict_mean_frame
from videorep.progress import SilentProgress
from videorep.training.objectives import to_model_input

BATCH_SEQUENCES = 50
MEAN_FRAME_SEQUENCES = 2000
GENERATED_SEQUENCES = 2000
MODEL, TEACHER_FORCED = "model", "model, fed with true frames"
COPY, MEAN = "copy the last frame", "predict the mean frame"


def evaluate_future_prediction(run, data=None, *, split="test", limit=None, horizon=None, progress=None):
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
        "probability_clipping" (see `metrics.CLIPPING`).
    Raises:
        RunError: the run is no pretrained one, or the data do not fit it.
    Source: Srivastava et al. 2015, section 3.4 and table 2.
    """
    if not isinstance(run.config, PretrainConfig):
        raise RunError(f"expected a run of `videorep pretrain`, received {run.path}, a {run.config.kind} run")
    model = run.model()
    if horizon and "future" in model.decoders:
        model = model.with_horizon(horizon)
    config, data = model.config, data or run.config.data
    source = open_source(data, split, config.sequence_frames)
    if source.features != config.features:
        raise RunError(
            f"expected frames of {config.features} values, as {run.path} was trained on, received {source.features}; "
            "evaluate on data of the same kind"
        )
    limit = limit or (None if hasattr(source, "windows") else GENERATED_SEQUENCES)
    scores = Scores(config, source.frame_shape)
    mean = _training_mean(run, config)
    predict = tf.function(lambda frames: _predict(model, config, frames), reduce_retracing=True)
    with (progress or SilentProgress()).task("Predicting", total=limit, unit="sequences") as advance:
        for batch in source.evaluation(BATCH_SEQUENCES, limit):
            frames = to_model_input(batch["frames"])
            scores.add(frames.numpy(), {name: _arrays(each) for name, each in predict(frames).items()}, mean)
            advance(len(frames))
    return {"split": split, "sequences": scores.sequences, **scores.result()}


def _arrays(outputs):
    return {branch: frames.numpy() for branch, frames in outputs.items()}


def _predict(model, config, frames):
    """{predictor: {branch: (B, T or F, D)}}: the model on its own, and fed with true frames where it is conditional."""
    inputs = frames[:, : config.input_frames]
    outputs = {MODEL: model({"frames": inputs}, training=False)}
    if config.conditional:
        teacher = {"reconstruction": inputs, "future": frames[:, config.input_frames :]}
        logits = model.logits(inputs, teacher)
        outputs[TEACHER_FORCED] = {branch: model.decoders[branch].emitted(each) for branch, each in logits.items()}
    return outputs


def _training_mean(run, config):
    """The mean frame of the data that the run was trained on."""
    source = open_source(run.config.data, "train", config.sequence_frames)
    sequences = min(MEAN_FRAME_SEQUENCES, getattr(source, "windows", MEAN_FRAME_SEQUENCES))
    batches = source.training(min(BATCH_SEQUENCES, sequences), run.config.training.seed)
    return mean_frame((to_model_input(batch["frames"]).numpy() for batch in batches), sequences)


@dataclasses.dataclass
class Scores:
    """Running sums of every predictor's figures.

    Args:
        config: ModelConfig.
        frame_shape: (H, W, C) of pixels, or None for percepts.
    """

    config: object
    frame_shape: tuple | None

    def __post_init__(self):
        self.sequences = 0
        self._sums = collections.defaultdict(float)

    def add(self, frames, outputs, mean):
        """Counts one batch: frames (B, T + F, D), {predictor: {branch: frames}} and the mean frame (D,)."""
        inputs, future = np.split(frames, [self.config.input_frames], axis=1)
        targets = {"reconstruction": inputs, "future": future}
        predictions = {name: dict(branches) for name, branches in outputs.items()}
        branches = self.config.branches
        predictions[MEAN] = {branch: predict_mean_frame(mean, *targets[branch].shape[:2]) for branch in branches}
        if "future" in branches:
            predictions[COPY] = {"future": copy_last_frame(inputs, future.shape[1])}
        for name, branches in predictions.items():
            for branch, predicted in branches.items():
                for figure, values in self._figures(targets[branch], predicted).items():
                    self._sums[name, branch, figure] += np.sum(values, axis=0)
        self.sequences += len(frames)

    def _figures(self, targets, predictions):
        """{metric: (B, T) or (B,)}."""
        figures = {}
        if self.config.output == "bernoulli":
            figures["cross_entropy_per_frame"] = metrics.cross_entropies(targets, predictions)
        figures["squared_error_per_frame"] = metrics.squared_errors(targets, predictions)
        if self.frame_shape and min(self.frame_shape[:2]) >= metrics.SSIM_WINDOW:
            shape = (*targets.shape[:2], *self.frame_shape)
            pictures = (np.asarray(each, np.float32).reshape(shape) for each in (targets, predictions))
            figures["ssim"] = [metrics.ssim(a[None], b[None]) for a, b in zip(*pictures, strict=True)]
        return figures

    def result(self):
        """What `evaluate_future_prediction` returns, from all batches."""
        rows, by_frame = {}, {}
        for (name, branch, figure), total in self._sums.items():
            mean = np.asarray(total) / self.sequences
            rows.setdefault(name, {"predictor": name})[f"{branch}_{figure}"] = float(mean.mean())
            if branch == "future" and figure != "ssim":
                by_frame.setdefault(figure, {})[name] = [float(value) for value in mean]
        columns = sorted({key for row in rows.values() for key in row} - {"predictor"}, key=_column_order)
        table = [{"predictor": name, **{key: row.get(key) for key in columns}} for name, row in rows.items()]
        return {"rows": table, "future_by_frame": by_frame, "probability_clipping": metrics.CLIPPING}


def _column_order(column):
    branch, _, figure = column.partition("_")
    return ("future", "reconstruction").index(branch), figure
