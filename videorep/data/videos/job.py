"""Which files a build reads and where each goes, and how every one of them is accounted for. No TensorFlow."""

import collections
import contextlib
import dataclasses
from pathlib import Path

import numpy as np

from videorep.data.shards.hashes import checksum
from videorep.data.shards.plan import Outcome, Source, plan_shards
from videorep.data.threads import count_cores
from videorep.data.videos.encode import measure_in_worker
from videorep.data.videos.labels import list_videos
from videorep.data.videos.pieces import sample_pieces
from videorep.data.videos.workers import WorkerError, WorkerPool
from videorep.errors import DataError
from videorep.storage import require_apart

CLIPS_PER_SHARD = 32
# Left out by intent; every other reason means that a video is bad.
INTENDED = (
    "duplicate",
    "no label",
    "not a video",
    "not a feature array",
    "not in the official lists",
    "not sampled",
    "unused",
)


@contextlib.contextmanager
def open_job(videos, out, config, progress):
    """Finds the videos, cuts them where pieces are asked for, and starts the workers: gives the `Job`.

    Raises:
        ConfigError, DataError: see `list_videos`; or there is nothing to decode, or too many videos are bad already.
        OutputError: `out` is not apart from the videos.
    """
    if Path(videos).is_dir():
        require_apart(out, {"VIDEOS": videos})
    choices = {name: getattr(config, name) for name in ("labels", "split", "classes", "seed", "allow_leaks")}
    listing = list_videos(videos, **choices)
    with WorkerPool(config.workers or count_cores(), config.timeout) as pool:
        found = listing.videos
        if config.sample_seconds is not None:
            found, lengths = _measure(found, pool, progress)
            found = sample_pieces(found, lengths, config.sample_seconds, config.total_hours, config.seed)
        job = Job(dataclasses.replace(listing, videos=tuple(found)), config, pool)
        job.refuse_hopeless()
        yield job


def _measure(videos, pool, progress):
    """The videos, unreadable ones with the reason, and their lengths in seconds."""
    usable = [video for video in videos if not video.reason]
    results = pool.map(measure_in_worker, ((video.file.path,) for video in usable))
    measured, lengths = [], []
    with progress.task("Measuring videos", len(usable), "videos") as advance:
        for video in videos:
            length = 0.0
            if not video.reason:
                result = next(results)
                length, reason = (0.0, str(result)) if isinstance(result, WorkerError) else result[0]
                video = dataclasses.replace(video, reason=reason)
                advance(1, note=video.file.name)
            measured.append(video)
            lengths.append(length)
    return measured, lengths


class Job:
    """The plan of one build from videos, or from other files, and how its sources become outcomes.

    Attributes:
        plan, labels: As a `Recipe` has them.
        pool: The `WorkerPool` of videos.
        usable: The `Video`s that are to be read.
        paths: {source: its file}.
        segments: {path of a source: its [(start, end, index of the label), ...]}, of those that have some.
        reasons: {source: why it is left out from the start}.
    """

    def __init__(self, listing, config, pool=None):
        videos, labels = listing.videos, listing.labels
        self.labels, self.config, self.pool, self._found = labels, config, pool, listing.facts
        self.usable = [video for video in videos if not video.reason]
        sources = {self._source(video): video for video in videos}
        self.paths = {source: video.file.path for source, video in sources.items()}
        self.segments = {
            video.file.name: [(start, end, labels.index(name)) for start, end, name in video.segments]
            for video in videos
            if video.segments and not video.reason
        }
        self.reasons = {source: video.reason for source, video in sources.items() if video.reason}
        self.total = sum(not is_intended(self.reasons.get(source, "")) for source in sources)
        self.bad = collections.Counter()
        self.plan = self._plan(sources)

    def _source(self, video):
        label = self.labels.index(video.label) if video.label in self.labels else None
        return Source(video.file.name, video.split, label, start=video.start, end=video.end)

    def _plan(self, sources):
        """Shuffles what is to be read over the shards; the rest is accounted for in the last shard of its split."""
        usable = [source for source in sources if source not in self.reasons]
        order = np.random.default_rng(self.config.seed).permutation(len(usable))
        usable = sorted((usable[index] for index in order), key=lambda source: (source.split != "train", source.split))
        plan = plan_shards(usable, CLIPS_PER_SHARD)
        for source in self.reasons:
            plan.setdefault(source.split, [[]])[-1].append(source)
        return plan

    def refuse_hopeless(self):
        """Raises DataError if what is known before reading says already how the build would end."""
        self.check([{"path": source.path, "reason": why, "records": 0} for source, why in self.reasons.items()])
        self.bad.clear()
        if len(self.reasons) == len(self.paths):
            told = "; ".join(f"{source.path}: {reason}" for source, reason in list(self.reasons.items())[:3])
            raise DataError(
                f"expected a video to decode, received {len(self.paths)} that are all left out ({told}); check the "
                "folder and --labels"
            )

    def describe(self, unit="clips"):
        """What a dry run tells."""
        usable = [source for source in self.paths if source not in self.reasons]
        return {
            unit: dict(collections.Counter(source.split for source in usable)),
            "shards": {split: len(shards) for split, shards in self.plan.items()},
            "classes": len(self.labels),
            "left_out": dict(collections.Counter(map(kind_of, self.reasons.values()))),
        } | self._found

    def made(self, command):
        """What a `Recipe` says of how the records were made."""
        settings = self.config.shaping | ({"segments_sha256": checksum(self.segments)} if self.segments else {})
        return {"command": command, "seed": self.config.seed, "settings": settings, "found": self._found}

    def process(self, pending, read):
        """Yields the `Outcome` of each source of the pending shards, in order; raises DataError if too many are bad.

        Args:
            read: Generator function of shards, each the list of its sources that are to be read, that yields their
                outcomes in this order.
        """
        shards = [[source for source in task.sources if source not in self.reasons] for task in pending]
        with contextlib.closing(read(shards)) as outcomes:
            for source in (source for task in pending for source in task.sources):
                outcome = Outcome(source, [], self.reasons[source]) if source in self.reasons else next(outcomes)
                if not outcome.records:
                    self._count(source.path, outcome.reason)
                yield outcome

    def named(self, source):
        """What every record says of its source: path and label."""
        label = None if source.label_index is None else self.labels[source.label_index]
        return {"path": source.path, "label_index": source.label_index, "label_text": label}

    def task(self, source):
        """The arguments of `encode_in_worker` for the video of a source."""
        named = self.named(source)
        if source.path in self.segments:
            named["segments"] = self.segments[source.path]
        return self.paths[source], self.config, source.start, source.end, named

    def check(self, entries):
        """Counts the bad videos among finished sources; raises DataError if there are too many."""
        self.bad.clear()
        for entry in entries:
            if not entry["records"]:
                self._count(entry["path"], entry["reason"])

    def _count(self, path, reason):
        if is_intended(reason):
            return
        self.bad[kind_of(reason)] += 1
        bad, most = self.bad.total(), self.config.max_bad_fraction
        if bad > most * self.total:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.bad.most_common())
            raise DataError(
                f"expected at most {most:.0%} of {self.total} videos to be bad, received {bad} so far "
                f"({kinds}), the last {path!r}: {reason}; mend or remove them, or raise --max-bad-fraction"
            )


def to_outcome(source, result, make_record):
    """The `Outcome` of a video.

    Args:
        result: What a worker gave, or a `WorkerError`.
        make_record: Function of the source, its facts and its data that makes the record.
    """
    if isinstance(result, WorkerError):
        return Outcome(source, [], str(result))
    (digest, facts, reason), data = result
    if facts is None:
        return Outcome(source, [], reason, {"sha256": digest})
    record = make_record(source, facts, data)
    return Outcome(source, [record], reason, {"sha256": digest, "frames": record.frames})


def is_intended(reason):
    """Whether a video was left out by intent, not because it is bad."""
    return reason.startswith(INTENDED)


def kind_of(reason):
    """The kind of a reason: "damaged" of "damaged: 28 of 50 frames decoded"."""
    return reason.split(":")[0]
