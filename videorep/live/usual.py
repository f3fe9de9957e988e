"""Which errors of prediction are usual for a run: measured once on clips that it was not trained on, kept with it."""

import contextlib
import json
import warnings

import numpy as np

from videorep.config import require
from videorep.data.batches.several import TRAIN
from videorep.data.batches.streams import choose_items
from videorep.data.shards.hashes import hash_file
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.record_reader import RecordReader
from videorep.data.shards.verify import require_sound
from videorep.errors import RunError, ShardError, VideorepWarning
from videorep.live.surprise import PredictionErrors, Surprise
from videorep.progress import SilentProgress
from videorep.runs import SURPRISE
from videorep.storage import read_file, replacing
from videorep.writing import written

HELD_OUT = ("validation", "val", "valid")  # splits, the first that there is
RECORDS, LONGEST, AT_ONCE = 64, 512, 16  # a choice of a split's records; their first frames; together in one step
NORMAL = 1.4826  # the standard deviation of a normal distribution whose median absolute deviation is 1


def open_surprise(run, ahead=None, progress=None):
    """The `Surprise` of a run on percepts that predicts the future, in units of what is usual for it.

    The usual is the median of the errors of prediction on the run's validation shards, and the deviation from it 1.4826
    times the median absolute deviation: unlike mean and standard deviation, neither moves with the few cuts and events
    that such clips hold. It is measured on first use, by the run's first folder of shards, and kept in surprise.json.

    Args:
        ahead: Frames before each frame at which it is predicted; the run's future_frames where None.
    Raises:
        RunError: the run predicts no future; nothing usual is stored and its shards are not there any more.
        ConfigError: `ahead` is beyond what the run predicts.
        OutputError: surprise.json cannot be written.
    """
    config = run.config.model
    if "future" not in config.branches:
        raise RunError(
            f"expected a run that predicts the future, received {run.path}, which holds an {config.name}; name a "
            "future_predictor or a composite"
        )
    ahead = config.future_frames if ahead is None else ahead
    require(1 <= ahead <= config.future_frames, "ahead", f"1 to {config.future_frames}, which the run predicts", ahead)
    errors, digest = PredictionErrors(run.model(), ahead), hash_file(run.model_path)
    stored = _read_stored(run, digest)
    if str(ahead) not in stored:
        stored |= {str(ahead): _measure(run, errors, progress or SilentProgress())}
        text = json.dumps({"model_sha256": digest, "usual": stored}, indent=2) + "\n"
        path = run.path / SURPRISE
        with written(path, otherwise="copy the run to where it can be written"), replacing(path, shared=True) as file:
            file.write_text(text, encoding="utf-8")
    errors.reset()
    return Surprise(errors, stored[str(ahead)]["median"], stored[str(ahead)]["deviation"])


def _read_stored(run, digest):
    """What surprise.json says of this very model, {"frames ahead": {"median", "deviation", ...}}, as far as it fits."""
    with contextlib.suppress(OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        values = json.loads(read_file(run.path / SURPRISE))
        if values["model_sha256"] == digest:
            return {ahead: usual for ahead, usual in values["usual"].items() if _fits(usual)}
    return {}


def _fits(usual):
    median, deviation = usual["median"], usual["deviation"]
    return (
        isinstance(median, float) and 0 <= median < np.inf and isinstance(deviation, float) and 0 < deviation < np.inf
    )


def _measure(run, errors, progress):
    dataset, split = _find_clips(run)
    reader, kept = RecordReader(dataset, split), []
    chosen = choose_items(len(reader.index), RECORDS, seed=0)
    with progress.task("Measuring what is usual", len(chosen), "clips") as advance:
        for part in np.split(chosen, range(AT_ONCE, len(chosen), AT_ONCE)):
            lengths = np.minimum(reader.index["frames"][part], LONGEST)
            frames = reader.percept_windows(part, np.zeros_like(part), lengths.max()).astype(np.float32)
            errors.reset(len(part))
            made = np.stack([errors.step(each) for each in frames.swapaxes(0, 1)], axis=1)
            made[np.arange(lengths.max()) >= lengths[:, None]] = np.nan  # behind a clip's end
            kept.append(made[np.isfinite(made)].astype(np.float64))
            advance(len(part))
    kept = np.concatenate(kept)
    median = np.median(kept) if len(kept) else 0.0
    deviation = NORMAL * np.median(abs(kept - median)) if len(kept) else 0.0
    if not deviation > 0:
        raise RunError(
            f"expected clips whose frames are predicted differently well in split {split!r} of {dataset.folder}, "
            f"received {len(kept)} frames, most of one error; pretrain on longer clips, or such in which more happens"
        )
    return {"split": split, "frames": len(kept), "median": float(median), "deviation": float(deviation)}


def _find_clips(run):
    """The shards that the run was trained on, and which split of them says what is usual."""
    try:
        dataset = load_dataset(run.config.data.path)
        split = next((split for split in HELD_OUT if split in dataset.splits), TRAIN)
        require_sound(dataset, split)
        if dataset.provenance["shards"] != run.provenance["data"].get("shards"):
            raise ShardError(f"other shards in {dataset.folder}")
    except ShardError as error:
        raise RunError(
            f"expected the shards of {run.path}, to measure which errors of prediction are usual, received: {error}; "
            f"bring them back to {run.config.data.path}, or a copy of the run's {SURPRISE} into its folder"
        ) from error
    if split == TRAIN:
        warnings.warn(
            f"{dataset.folder} has no split 'validation': what is usual is measured on the clips that {run.path} was "
            "trained on, which it predicts better than others, so that others surprise it more",
            VideorepWarning,
            stacklevel=2,
        )
    return dataset, split
