"""Shards of which a test knows every window."""

import cv2
import numpy as np

from videorep.data import write_shards
from videorep.data.shards.records import Clip, Percept

FRAMES = [9, 3, 14, 6, 21, 2, 8, 11]
HEIGHT, WIDTH, FEATURES = 12, 20, 5


def write_percepts(folder, compression="", dtype=np.float16):
    """Percepts whose numbers tell record and frame apart: frame t of record n is n + t / 64 + feature * 4."""
    arrays = [
        (n + np.arange(frames)[:, None] / 64 + 4 * np.arange(FEATURES)).astype(dtype) for n, frames in enumerate(FRAMES)
    ]
    records = [
        Percept(a, f"v{n}", n % 2, "ab"[n % 2], compression=compression, frame_rate=25.0) for n, a in enumerate(arrays)
    ]
    write_shards({"train": records, "test": records[:3]}, folder, labels=["a", "b"], shards=3)
    return [array.astype(np.float32) for array in arrays]


def write_clips(folder, quality=95):
    """Smooth random clips as JPEG; returns them as OpenCV decodes them, grey and RGB."""
    rng, records, grey, colour = np.random.default_rng(0), [], [], []
    for n, frames in enumerate(FRAMES):
        pictures = [
            cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (5, 5), 2) for _ in range(frames)
        ]
        images = [cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes() for p in pictures]
        times = [40_000 * t for t in range(frames)]
        records.append(Clip(images, times, HEIGHT, WIDTH, 25.0, f"v{n}", n % 2, "ab"[n % 2]))
        decoded = [np.frombuffer(image, np.uint8) for image in images]
        grey.append(np.stack([cv2.imdecode(image, cv2.IMREAD_GRAYSCALE) for image in decoded])[..., None])
        colour.append(np.stack([cv2.imdecode(image, cv2.IMREAD_COLOR)[..., ::-1] for image in decoded]))
    write_shards({"train": records}, folder, labels=["a", "b"], shards=3)
    return grey, colour


def all_windows(arrays, length, stride):
    """Every window, by loops."""
    return [
        array[start : start + length]
        for array in arrays
        for start in range(0, len(array) - length + 1, stride)
        if len(array) >= length
    ]


def as_set(windows):
    return sorted(window.tobytes() for window in windows)


def take(batches, count, key="frames"):
    return [batch[key].numpy() for batch in batches.take(count)]
