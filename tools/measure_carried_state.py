"""Whether training on the last step of long blocks helps a state that is carried on, on long videos made of clips.

    python tools/measure_carried_state.py PERCEPTS --out FOLDER --seeds 3 --steps 600

PERCEPTS are percepts of labelled clips with the splits train and test. Clips are put one after another, after every
one of an action some of other classes, which are declared to be background. For each seed the order is another, and so
are the weights; one classifier is trained with each loss, and all frames of the test videos are classified in both ways
of `evaluate`. Everything is kept in FOLDER; the same command goes on with it.
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from videorep.config import LOSSES, ClassifierConfig, DataConfig, FinetuneConfig, TrainingConfig
from videorep.data import read_shards, write_shards
from videorep.data.shards.keys import BACKGROUND
from videorep.evaluation import evaluate_frames
from videorep.runs import load_run
from videorep.training.finetune import finetune

FIGURES = ("frame_mean_average_precision", "frame_accuracy")


def main():
    arguments = parse_arguments()
    figures = {}
    for seed in range(arguments.seeds):
        shards = arguments.out / f"shards-{seed}"
        if not (shards / "dataset.json").exists():
            splits = {split: read_clips(arguments.percepts, split) for split in ("train", "test")}
            generator = np.random.default_rng(seed)
            made = {split: list(join_clips(clips, arguments, generator)) for split, clips in splits.items()}
            write_shards(made, shards)
        for loss in LOSSES:
            run = arguments.out / f"{loss}-{seed}"
            finetune(settings(arguments, shards, loss, seed), run, resume=True)
            for row in evaluate_frames(load_run(run))["rows"]:
                each = figures.setdefault((loss, row["predictor"]), [])
                each.append({name: row[name] for name in FIGURES})
                print(f"seed {seed}, loss {loss:<5}{row['predictor']:<18}{each[-1]}", flush=True)
    for (loss, way), each in figures.items():
        values = [row[FIGURES[0]] for row in each]
        deviation = f" +- {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        print(f"loss {loss:<5}{way:<18}frame mAP {statistics.mean(values):.3f}{deviation}")
    rows = [{"loss": loss, "way": way, "seeds": each} for (loss, way), each in figures.items()]
    (arguments.out / "figures.json").write_text(json.dumps(rows, indent=2) + "\n")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("percepts", metavar="PERCEPTS")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--background-classes", type=int, default=4, help="How many, the first ones by name.")
    parser.add_argument("--actions-per-video", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--block-frames", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    return parser.parse_args()


def read_clips(percepts, split):
    """{class: [(T, D) float32, ...]}."""
    clips = {}
    for record in read_shards(percepts, split).as_numpy_iterator():
        clips.setdefault(record["label_text"].decode(), []).append(record["frames"])
    return clips


def join_clips(clips, arguments, generator):
    """Long videos: every clip of an action once, each followed by a clip of the background, drawn anew."""
    names = sorted(clips)
    behind = [clip for name in names[: arguments.background_classes] for clip in clips[name]]
    actions = [(name, clip) for name in names[arguments.background_classes :] for clip in clips[name]]
    order = generator.permutation(len(actions))
    for first in range(0, len(order), arguments.actions_per_video):
        frames, labels = [], []
        for number in order[first : first + arguments.actions_per_video]:
            for name, clip in (actions[number], (BACKGROUND, behind[generator.integers(len(behind))])):
                frames.append(clip)
                labels += [name] * len(clip)
        yield {"frames": np.concatenate(frames), "frame_labels": labels}


def settings(arguments, shards, loss, seed):
    length = arguments.block_frames
    model = ClassifierConfig(
        units=(arguments.units,), block_frames=length, block_stride=max(1, length // 8), standardise=True, loss=loss
    )
    training = TrainingConfig(steps=arguments.steps, batch_size=arguments.batch_size, seed=seed)
    return FinetuneConfig(model, DataConfig(str(shards)), training)


if __name__ == "__main__":
    main()
