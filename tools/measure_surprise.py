"""Whether frames of another class, spliced into a clip, surprise a model that was pretrained without labels.

    python tools/measure_surprise.py PERCEPTS --seeds 5 --steps 300 --units 256 --json FILE

Each seed pretrains on the split "train", then inserts into every clip of the split "test" frames of a clip of another
class. Frame by frame, the area under the ROC curve says how often a spliced frame scores higher than another one: over
all clips together, which asks for one threshold for all, and within each clip, on average. Left out are the frames
before the first prediction, and those behind a splice until it can be known that the clip goes on. Beside surprise
stand scores that need no learning; the last one is what surprise becomes where the prediction is a copy of the frame.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.metrics import roc_auc_score

from videorep.config import DataConfig, ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.data import read_shards
from videorep.live.surprise import PredictionErrors
from videorep.runs import load_run
from videorep.training.pretrain import pretrain

SURPRISE = "surprise"


def read_clips(folder, split):
    """[(frames (T, D), label)] of a split."""
    return [(clip["frames"].numpy(), int(clip["label"])) for clip in read_shards(folder, split)]


def splice(clips, length, context, generator):
    """Yields (frames, first): every clip that is long enough, with `length` frames of another class from `first` on."""
    for frames, label in clips:
        others = [other for other, own in clips if own != label and len(other) >= length]
        if len(frames) < 3 * context or not others:
            continue
        other, first = others[generator.integers(len(others))], generator.integers(context, len(frames) - context)
        begin = generator.integers(len(other) - length + 1)
        yield np.concatenate([frames[:first], other[begin : begin + length], frames[first:]]), first


def score(frames, errors, mean, deviation, ahead):
    """{name: (T,)} of a spliced clip; the higher, the more unusual."""
    errors.reset()
    return {
        SURPRISE: np.array([errors.step(each[None])[0] for each in frames]),
        "difference from the frame before": _differences(frames, 1, deviation),
        "distance from the mean frame": np.linalg.norm((frames - mean) / deviation, axis=1),
        f"difference from {ahead} frames before": _differences(frames, ahead, deviation),
    }


def _differences(frames, lag, deviation):
    apart = np.linalg.norm((frames[lag:] - frames[:-lag]) / deviation, axis=1)
    return np.concatenate([np.full(lag, np.nan), apart])


def measure_seed(seed, args, out):
    """{name: (area over all clips, mean area within a clip)} of one seed."""
    model = ModelConfig(
        args.model, units=(args.units,) * args.layers, input_frames=args.input_frames, future_frames=args.future_frames,
        conditional=tuple(args.conditional), standardise=True,
    )  # fmt: skip
    training = PretrainTrainingConfig(steps=args.steps, batch_size=32, seed=seed)
    pretrain(PretrainConfig(model, DataConfig(str(args.percepts)), training), out)
    ahead, train = (
        args.ahead or args.future_frames,
        np.concatenate([each for each, _ in read_clips(args.percepts, "train")]),
    )
    mean, deviation, errors = (
        train.mean(axis=0),
        train.std(axis=0) + 1e-3,
        PredictionErrors(load_run(out).model(), ahead),
    )
    scores, truths = {}, []
    for frames, first in splice(read_clips(args.percepts, "test"), args.splice, 2 * ahead, np.random.default_rng(seed)):
        counted = np.arange(len(frames)) >= ahead
        counted[first + args.splice : first + args.splice + ahead] = False
        truths.append(
            (np.arange(len(frames)) - first < args.splice)[counted] & (np.arange(len(frames)) >= first)[counted]
        )
        for name, values in score(frames, errors, mean, deviation, ahead).items():
            scores.setdefault(name, []).append(values[counted])
    return {
        name: (
            float(roc_auc_score(np.concatenate(truths), np.concatenate(values))),
            float(np.mean([roc_auc_score(*pair) for pair in zip(truths, values, strict=True)])),
        )
        for name, values in scores.items()
    }


def main():
    """Prints a table: mean and standard deviation over seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("percepts", type=Path, help="labelled shards of percepts with the splits train and test")
    parser.add_argument("--model", default="future_predictor")
    parser.add_argument("--conditional", nargs="*", default=[])
    for name, number in (("seeds", 3), ("steps", 300), ("units", 256), ("layers", 1), ("input-frames", 16)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--future-frames", type=int, default=13)
    parser.add_argument("--ahead", type=int, help="of the prediction; --future-frames unless given")
    parser.add_argument("--splice", type=int, default=13, help="frames")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure_seed(seed, args, Path(folder) / "run"))
        print(
            f"seed {seed}: {SURPRISE} {rows[-1][SURPRISE][0]:.3f}, within a clip {rows[-1][SURPRISE][1]:.3f}",
            flush=True,
        )
    print(f"\n{'area under the ROC curve':<36} {'all clips':>15} {'within a clip':>15}")
    for name in rows[0]:
        areas = np.array([row[name] for row in rows])
        cells = [
            f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(areas.mean(axis=0), areas.std(axis=0), strict=True)
        ]
        print(f"{name:<36} {cells[0]:>15} {cells[1]:>15}")
    if args.json:
        args.json.write_text(json.dumps({"settings": vars(args), "seeds": rows}, default=str, indent=2) + "\n")


if __name__ == "__main__":
    main()
