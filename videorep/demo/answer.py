"""What runs make of one video: of every frame as `watch` does, of the whole as `classify`, and what is most like it."""

import base64
import itertools
import math
from pathlib import Path

import cv2
import numpy as np

from videorep.build_config import ClipsConfig
from videorep.data.shards.hashes import hash_file
from videorep.data.videos.find import inspect_file
from videorep.data.videos.frame_batches import frames_in_worker
from videorep.data.videos.workers import WorkerError, WorkerPool
from videorep.live.classify import block_classifier
from videorep.live.embed import Encoder
from videorep.live.embeddings import read_embeddings
from videorep.live.live_runs import LiveRuns
from videorep.live.search import rank_videos, read_middle_frames, read_own_embeddings
from videorep.live.stream import Stream
from videorep.live.videos import find_inputs, perceive_videos

BATCH = 8  # frames that a worker hands over at a time
MOST_FRAMES = 3_000  # that are shown: the page holds a picture of each
PICTURE_HEIGHT, QUALITY = 360, 80
TOP = 5  # classes and videos that are told


class Answerer:
    """Opens runs once, and then answers one video after another.

    Args:
        runs: Runs (`videorep.runs.Run`) of `videorep finetune` and `pretrain`, as for `LiveRuns`.
        backbones: Files of convnets that have moved since.
        embeddings: File (.npz) that `videorep embed` made with one of the runs, or None.
        options: `ahead` and `progress`, see `LiveRuns`.
    Attributes:
        classes: K names; () without a classifier.
    Raises:
        RunError, BackboneError, ConfigError, OutputError: see `LiveRuns`.
        DataError: the embeddings are damaged or none of the runs made them.
    """

    def __init__(self, runs, backbones=(), embeddings=None, **options):
        self._live = LiveRuns(runs, backbones, **options)
        self.classes, self._classifiers, self._like = self._live.classes, {}, None
        for perception, members in self._live.views:
            models = [stream.model for _, stream in members if isinstance(stream, Stream)]
            self._classifiers[perception] = [block_classifier(model, self.classes) for model in models]
        if embeddings is not None:
            self._like = _Likeness(self._live.views, embeddings)

    def answer(self, path):
        """Yields what is told of the video at `path`, dicts that JSON holds, as soon as it is known.

        {"length": seconds or None}; for each of the first `MOST_FRAMES` frames that `videorep watch` would take
        {"time": seconds, "probabilities": [K] or None, "surprise": float or None, "picture": JPEG as a URL};
        {"seen": frames}; at last {"classes": [{"label", "probability"}, ...] best first, "similar": [{"similarity",
        "path", "label", "picture": URL or None}, ...], "reason": what is wrong or ""}, or {"reason"} alone.
        """
        reason = inspect_file(path, "").problem or (yield from self._watch(path))
        yield {"reason": reason} if reason else self._conclude(path)

    def _watch(self, path):
        """Yields what is told before the end; returns why not one frame was seen, or ""."""
        self._live.reset()
        with WorkerPool(1, ClipsConfig.timeout) as pool:
            tasks = ((path, self._live.fps, self._live.every, first, BATCH) for first in range(0, MOST_FRAMES, BATCH))
            for place, result in enumerate(pool.map(frames_in_worker, tasks)):
                told, data = (([], None, str(result)), b"") if isinstance(result, WorkerError) else result
                moments, length, reason = told
                if not place:
                    if reason or not moments:
                        return reason or "no frames"
                    yield {"length": length}
                ends = itertools.accumulate(math.prod(shape) for _, shape in moments)
                for (seconds, shape), end in zip(moments, ends, strict=True):
                    image = np.frombuffer(data, np.uint8, math.prod(shape), end - math.prod(shape)).reshape(shape)
                    probabilities, surprise = map(_rounded, self._live.step(image[..., ::-1]))
                    made = {"probabilities": probabilities, "surprise": surprise}
                    yield {"time": round(seconds, 3)} | made | {"picture": _picture(image)}
                if len(moments) < BATCH:
                    break
        yield {"seen": place * BATCH + len(moments)}
        return ""

    def _conclude(self, path):
        features = {}

        def take(perception, video, seen, seconds):
            features[perception] = seen

        needed = {perception for perception, classifiers in self._classifiers.items() if classifiers}
        needed |= {self._like.perception} if self._like else set()
        [reason] = perceive_videos(needed, find_inputs([path]), take, "Answering").values()
        each = [
            classify(features[perception]).mean(axis=0)
            for perception, classifiers in self._classifiers.items()
            for classify in classifiers
            if perception in features
        ]
        whole = each and features.keys() == needed
        similar = self._like.find(features) if self._like and self._like.perception in features else []
        return {"classes": self._rank(np.mean(each, axis=0)) if whole else [], "similar": similar, "reason": reason}

    def _rank(self, probabilities):
        best = probabilities.argsort(kind="stable")[::-1][:TOP]
        return [{"label": self.classes[number], "probability": float(probabilities[number])} for number in best]


class _Likeness:
    """Finds the embedded videos that are most like one."""

    def __init__(self, views, path):
        members, made_by = [(see, run) for see, runs in views for run, _ in runs], read_embeddings(path).run
        own = [member for member in members if hash_file(member[1].model_path) == made_by]
        self.perception, run = (own or members)[0]
        self._embeddings = read_own_embeddings(run, path)
        self._encoder = Encoder(run, self._embeddings.per)

    def find(self, features):
        """The `TOP` most similar videos to that of features {perception: (T, D)}, see `Answerer.answer`."""
        query = self._encoder.encode(features[self.perception]).mean(axis=0)
        found = rank_videos(query, self._embeddings)[:TOP]
        frames = read_middle_frames(row["path"] for row in found)
        pictures = {path: _picture(frame) for path, frame in frames.items()}
        return [row | {"path": Path(row["path"]).name, "picture": pictures.get(row["path"])} for row in found]


def _rounded(values):
    """A number, or an array as a list, to four digits; None of None and of what JSON cannot hold."""
    return None if values is None or not np.isfinite(values).all() else np.round(values, 4).tolist()


def _picture(image):
    """A frame (H, W, 3) BGR as the URL of a JPEG of at most `PICTURE_HEIGHT`."""
    height, width = image.shape[:2]
    if height > PICTURE_HEIGHT:
        size = max(1, round(width * PICTURE_HEIGHT / height)), PICTURE_HEIGHT
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
