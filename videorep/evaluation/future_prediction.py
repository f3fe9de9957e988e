"""How well a pretrained model reconstructs and predicts frames, beside predictions that need no learning."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from videorep.config import DataConfig, PretrainConfig, are_shards, require
from videorep.data.batches.sources import open_source
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.statistics import standardising_constants
from videorep.errors import RunError, VideorepError
from videorep.evaluation.baselines import mean_frame
from videorep.evaluation.caveats import predictor_caveats
from videorep.evaluation.data_checks import compare_backbones, require_finite
from videorep.evaluation.scores import MEAN, Scores
from videorep.models.pixels import to_unit_range
from videorep.progress import Reporter, SilentProgress
from videorep.runs import Run

BATCH_SEQUENCES = 50
MEAN_FRAME_SEQUENCES = 2000
GENERATED_SEQUENCES = 2000
MODEL, TEACHER_FORCED = "model", "model, fed with true frames"


def evaluate_future_prediction(
    run: Run,
    data: DataConfig | None = None,
    *,
    split: str = "test",
    limit: int | None = None,
    horizon: int | None = None,
    progress: Reporter | None = None,
) -> dict:
    """Scores a run's model, fed with its own output, and trivial predictors on the same sequences.

    A model with conditional decoders is scored fed with true frames too, by the name `TEACHER_FORCED`. Of a model that
    standardises, and of patches, the half squared error is given in standardised units as well.

    Args:
        run: A pretrained run (`videorep.runs.Run`).
        data: DataConfig; the run's own where None.
        split: Name of the split.
        limit: Sequences at most; by default all of a split, 2,000 of generated data.
        horizon: Future frames to predict; as trained where None.
        progress: Reporter, see `videorep.progress`.
    Returns:
        dict for JSON: "sequences" (how many were scored), "rows" (one dict of figures per predictor: "predictor",
        "<branch>_<metric>"), "future_by_frame" ({metric: {predictor: one figure per future frame}}), the standard
        errors of both over the sequences, in the same form, "standard_errors" and "future_by_frame_standard_errors"
        (None of a single sequence), "definitions" ({metric: how it is reduced}), "probability_clipping" (see
        `metrics.CLIPPING`: what makes the cross entropy of copied frames finite), "warnings" (sentences on what makes
        the figures doubtful), and "left_out" where the training data, whose mean frame is a predictor, are not there
        any more.
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
    mean, deviation, reason = _of_training(run, model)
    scores = Scores(config, source.frame_shape, mean, deviation)
    predict = tf.function(lambda frames: _predict(model, config, frames), reduce_retracing=True)
    with (progress or SilentProgress()).task("Predicting", total=limit, unit="sequences") as advance:
        for batch in source.evaluation(BATCH_SEQUENCES, limit):
            frames = _read(batch, run, data, split)
            scores.add(frames, {name: _arrays(each) for name, each in predict(frames).items()})
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
    return model, source, compare_backbones(run, load_dataset(data.path)) if are_shards(data.path) else []


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


def _of_training(run, model):
    """The mean frame of the data that the run was trained on and, where it standardises or sees patches, the deviation
    of every value, (D,) each or None; and why the data cannot be read any more, or None.
    """
    data, standardisation = run.config.data, model.standardisation
    deviation = None if standardisation is None else np.asarray(standardisation.get_weights()[1])
    try:
        source = open_source(data, "train", run.config.model.sequence_frames)
    except VideorepError as error:
        return None, deviation, str(error)
    if data.patch and deviation is None:
        deviation = standardising_constants(source.statistics())[1]
    sequences = min(MEAN_FRAME_SEQUENCES, getattr(source, "windows", MEAN_FRAME_SEQUENCES))
    batches = source.training(min(BATCH_SEQUENCES, sequences), run.config.training.seed)
    mean = mean_frame((to_unit_range(batch["frames"]).numpy() for batch in batches), sequences)
    finite = np.isfinite(mean).all()
    return (mean, deviation, None) if finite else (None, deviation, "the training data hold NaN or infinity")
