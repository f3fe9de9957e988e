"""Classifies a video with an exported model: TensorFlow and OpenCV, nothing of videorep.

    python classify_with_tensorflow.py SAVED_MODEL VIDEO

For a classifier of grey pixels whose videos have the size that it was trained on.
"""

import sys

sys.modules["videorep"] = None  # from here on, importing videorep is an error

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def read_grey_frames(path):
    """(1, T, H * W) float32 in [0, 1]."""
    video, frames = cv2.VideoCapture(path), []
    while True:
        there, frame = video.read()
        if not there:
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).ravel())
    return np.stack(frames)[None].astype(np.float32) / 255


def main():
    folder, path = sys.argv[1:]
    classify = tf.saved_model.load(folder).signatures["serving_default"]
    answer = classify(frames=tf.constant(read_grey_frames(path)))
    label, probability = answer["label"].numpy()[0].decode(), answer["probabilities"].numpy().max()
    imported = [name for name, module in sys.modules.items() if name.split(".")[0] == "videorep" and module]
    print(f"{path}: {label} (probability {probability:.2f}); imported of videorep: {', '.join(imported) or 'nothing'}")


if __name__ == "__main__":
    main()
