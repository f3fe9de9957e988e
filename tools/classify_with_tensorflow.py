"""Classifies a video with an exported model: TensorFlow, NumPy and OpenCV, nothing of videorep.

    python classify_with_tensorflow.py SERVING VIDEO
    python classify_with_tensorflow.py SERVING/1 VIDEO

SERVING is what `videorep export` wrote, a folder of numbered versions, whose newest is taken, or one of these. For
classifiers of whole frames, grey or in colour: what other models take cannot be made of a video here, and is told.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.modules["videorep"] = None  # from here on, importing videorep is an error
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2  # noqa: E402
import numpy as np  # noqa: E402

MODEL, FACTS = "saved_model.pb", Path("assets.extra") / "run.json"
NOT_MADE_HERE = {
    "percepts": "what the convnet {backbone} makes of frames (videorep build-shards percepts)",
    "patches": "patches of frames, not whole ones",
    "flow": "stacks of optical flow",
    "rgb": "single frames scaled and cut as in training",
}
OTHER_WAYS = {  # by the signature that has them
    "classify_frames": "send JPEGs of frames to its signature classify_frames",
    "describe": "ask a server of it with videorep classify --server",
}


def find_model(folder):
    """The folder of the SavedModel: the one given, or its newest numbered version."""
    if not folder.is_dir():
        sys.exit(f"Error: expected the folder of an exported model, received {folder}, which is no folder")
    if (folder / MODEL).is_file():
        return folder
    versions = [path for path in folder.iterdir() if path.name.isdecimal() and (path / MODEL).is_file()]
    if not versions:
        sys.exit(
            f"Error: expected {MODEL} in {folder} or in a numbered version below it, received neither; "
            "name what videorep export wrote"
        )
    return max(versions, key=lambda path: int(path.name))


def read_frame_shape(folder):
    """(H, W, C) of the frames that the model takes, as its export says."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        run, taken = facts["kind"], facts["input"]
        kind = taken["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        sys.exit(f"Error: expected {FACTS} in {folder} to say what the model takes, received none; export it again")
    if run != "finetune" or kind != "pixels":
        words = NOT_MADE_HERE.get(kind, "whole frames") if isinstance(kind, str) else "something unknown"
        backbone = (taken.get("backbone") or {}).get("backbone", "of its training")
        signatures = facts.get("signatures")
        ways = [way for name, way in OTHER_WAYS.items() if isinstance(signatures, dict) and name in signatures]
        what = "classifies" if run in ("finetune", "stream") else "does not classify but predicts frames; it takes"
        sys.exit(
            "Error: expected a classifier of whole frames, received a model that "
            f"{what} {words.format(backbone=backbone)}; {', or '.join(ways) or 'use it with videorep'}"
        )
    return tuple(taken["frame_shape"])


def read_frames(path, shape):
    """(1, T, H * W * C) float32 in [0, 1]."""
    video, frames = cv2.VideoCapture(str(path)), []
    height, width, channels = shape
    colours = cv2.COLOR_BGR2GRAY if channels == 1 else cv2.COLOR_BGR2RGB
    while True:
        there, frame = video.read()
        if not there:
            break
        if frame.shape[:2] != (height, width):  # as `videorep build-shards clips --size` scales
            frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
        frames.append(cv2.cvtColor(frame, colours).ravel())
    if not frames:
        sys.exit(f"Error: expected a video, received {path}, of which no frame can be read")
    return np.stack(frames)[None].astype(np.float32) / 255


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, metavar="SERVING", help="what videorep export wrote, or a version of it")
    parser.add_argument("video", type=Path, metavar="VIDEO", help="a video; scaled to the model's frames")
    arguments = parser.parse_args()
    folder = find_model(arguments.model)
    frames = read_frames(arguments.video, read_frame_shape(folder))

    import tensorflow as tf

    classify = tf.saved_model.load(str(folder)).signatures["serving_default"]
    answer = classify(frames=tf.constant(frames))
    label, probability = answer["label"].numpy()[0].decode(), answer["probabilities"].numpy().max()
    imported = [name for name, module in sys.modules.items() if name.split(".")[0] == "videorep" and module]
    print(
        f"{arguments.video}: {label} (probability {probability:.2f}); "
        f"imported of videorep: {', '.join(imported) or 'nothing'}"
    )


if __name__ == "__main__":
    main()
