"""Watches a video with an exported classifier: NumPy, OpenCV and LiteRT or ONNX Runtime, nothing of videorep.

    python watch_with_litert_or_onnx.py FOLDER VIDEO

FOLDER is what `videorep export RUN --format litert` or `onnx` wrote, with the convnet in it. The class is printed once
a second of the video, with the state carried on from frame to frame as `videorep watch` does; at the end the
milliseconds that a frame took, on one thread.
"""

import argparse
import functools
import json
import sys
import time
from pathlib import Path

sys.modules["videorep"] = None  # from here on, importing videorep is an error

import cv2  # noqa: E402
import numpy as np  # noqa: E402


def load(folder, name):
    """A function of named arrays that gives named arrays, and the shape of each array that it takes."""
    if (path := folder / f"{name}.tflite").is_file():
        from ai_edge_litert.interpreter import Interpreter

        run = Interpreter(str(path), num_threads=1).get_signature_runner()
        return run, {key: tuple(each["shape"]) for key, each in run.get_input_details().items()}
    if (path := folder / f"{name}.onnx").is_file():
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_outputs()]
        shapes = {each.name: tuple(each.shape) for each in session.get_inputs()}
        return lambda **inputs: dict(zip(names, session.run(None, inputs), strict=True)), shapes
    sys.exit(
        f"Error: expected {name}.tflite or {name}.onnx in {folder}, received neither; name what videorep export wrote "
        "with --format litert or onnx, of a classifier whose convnet was found"
    )


def size_of(image, shorter):
    """The (height, width) of an image whose shorter side becomes `shorter`."""
    return [max(1, round(length * shorter / min(image.shape[:2]))) for length in image.shape[:2]]


@functools.cache
def smooth(length, target):
    """Weights (target, length) of antialiased bilinear scaling, a triangle for each pixel, which OpenCV lacks."""
    ratio = length / target
    distances = np.arange(length) + 0.5 - (np.arange(target)[:, None] + 0.5) * ratio
    weights = np.maximum(0, 1 - np.abs(distances) / max(1, ratio))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def cut(image, side, stored):
    """The middle (side, side, 3) RGB of a frame in BGR, scaled as training's clips were, then to 15/14 of `side`."""
    if stored:
        height, width = size_of(image, stored) if isinstance(stored, int) else stored
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    (height, width), target = image.shape[:2], size_of(image, round(side * 15 / 14))
    if target != [height, width]:
        rows = np.tensordot(smooth(height, target[0]), image.astype(np.float32), 1)
        image = np.rint(np.tensordot(smooth(width, target[1]), rows, (1, 1)).swapaxes(0, 1)).astype(np.uint8)
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side, ::-1])


def read_frames(path, rate, every=None):
    """(seconds, image) of each `every`-th of a video's frames, or of as many as come nearest to `rate` a second."""
    video, number = cv2.VideoCapture(str(path)), 0
    own = video.get(cv2.CAP_PROP_FPS) or 25.0
    every = every or (max(1, round(own / rate)) if rate else 1)
    while video.grab():
        if number % every == 0:
            there, image = video.retrieve()
            if there:
                yield number / own, image
        number += 1


def watch(folder, video, clips):
    """Seconds from the video's beginning, probabilities (K,), and how long convnet and step took, of every frame."""
    (see, image_shape), (step, step_shapes) = load(folder, "backbone"), load(folder, "step")
    side, state = int(image_shape["image"][1]), np.zeros(step_shapes["state"], np.float32)
    for seconds, image in read_frames(video, clips.get("fps"), clips.get("every")):
        image = cut(image, side, clips.get("size"))
        begun = time.perf_counter()
        percept = see(image=image[None])["percept"]
        seen = time.perf_counter()
        answer = step(frame=percept, state=state)
        state = answer["next_state"]
        yield seconds, answer["probabilities"][0], (seen - begun, time.perf_counter() - seen)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what videorep export wrote")
    parser.add_argument("video", type=Path, metavar="VIDEO", help="a video")
    arguments = parser.parse_args()
    try:
        classes = (arguments.folder / "labels.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
        clips = json.loads((arguments.folder / "run.json").read_text(encoding="utf-8"))["clips"] or {}
    except (OSError, ValueError, KeyError):
        sys.exit(
            f"Error: expected labels.txt and run.json in {arguments.folder}, received none that can be read; name what "
            "videorep export wrote with --format litert or onnx"
        )
    taken, shown = [], -1
    for seconds, probabilities, times in watch(arguments.folder, arguments.video, clips):
        taken.append(times)
        if int(seconds) > shown:
            shown = int(seconds)
            print(f"{seconds:6.2f} s: {classes[probabilities.argmax()]} (probability {probabilities.max():.2f})")
    if not taken:
        sys.exit(f"Error: expected a video, received {arguments.video}, of which no frame can be read")
    see, step = 1000 * np.median(taken, axis=0)
    imported = [name for name, module in sys.modules.items() if name.split(".")[0] == "videorep" and module]
    print(
        f"{len(taken)} frames: {see:.2f} ms for the convnet and {step:.3f} ms for the step (medians); "
        f"imported of videorep: {', '.join(imported) or 'nothing'}"
    )


if __name__ == "__main__":
    main()
