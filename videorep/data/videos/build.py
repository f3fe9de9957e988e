"""Builds clip shards from videos: `build-shards clips`.

Every video ends up written, or listed in dataset.json with the reason why not. Decoding happens in worker processes.
"""

import collections
import contextlib
import dataclasses
from pathlib import Path

import numpy as np

from videorep.build_config import ClipsConfig
from videorep.data.shards.build import build_dataset
from videorep.data.shards.build_folder import require_free
from videorep.data.shards.hashes import checksum
from videorep.data.shards.plan import Outcome, Recipe, Source, plan_shards
from videorep.data.shards.records import EncodedClip
from videorep.data.threads import count_cores
from videorep.data.videos.encode import encode_in_worker, measure_in_worker
from videorep.data.videos.estimate import estimate_bytes
from videorep.data.videos.labels import list_videos
from videorep.data.videos.pieces import sample_pieces
from videorep.data.videos.workers import WorkerError, WorkerPool
from videorep.errors import DataError
from videorep.progress import SilentProgress
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


def build_clips(videos, out, config=ClipsConfig(), *, resume=False, overwrite=False, dry_run=False, progress=None):
    """Decodes videos into clip shards, one record per video or per piece of one.

    Shards depend on the videos, the options that shape content and the seed, not on the workers or on interruptions.

    Args:
        videos: Folder of videos (searched in depth, links followed), or a CSV of path[,start,end][,label].
        out: Folder to make or to complete.
        config: `ClipsConfig`.
        resume, overwrite, progress: See `shards.build.build_dataset`.
        dry_run: Only find, count and decode a few frames, to tell about how many bytes the shards take; write nothing.
    Returns:
        `Dataset`; with `dry_run` a dict of what would be built.
    Raises:
        ConfigError: an unknown kind of labels or split.
        DataError: no videos, lists that do not fit, a leak between splits, or too many bad videos.
        OutputError, ShardError: see `shards.build.build_dataset`.
    """
    progress = progress or SilentProgress()
    require_free(out, resume, overwrite, dry_run)
    if Path(videos).is_dir():
        require_apart(out, {"VIDEOS": videos})
    choices = {name: getattr(config, name) for name in ("labels", "split", "classes", "seed", "allow_leaks")}
    listing = list_videos(videos, **choices)
    with WorkerPool(config.workers or count_cores(), config.timeout) as pool:
        found = listing.videos
        if config.sample_seconds is not None:
            found, lengths = _measure(found, pool, progress)
            found = sample_pieces(found, lengths, config.sample_seconds, config.total_hours, config.seed)
        job = Job(found, listing.labels, config, pool)
        job.refuse_hopeless()
        if dry_run:
            size = estimate_bytes([video for video in found if not video.reason], config, pool)
            return job.describe() | listing.facts | {"bytes": size}
        settings = config.shaping | ({"segments_sha256": checksum(job.segments)} if job.segments else {})
        made = {"command": "build-shards clips", "seed": config.seed, "settings": settings}
        recipe = Recipe(config.name, "clips", job.plan, listing.labels, made | {"found": listing.facts})
        options = {"resume": resume, "overwrite": overwrite, "progress": progress, "check": job.check}
        return build_dataset(out, recipe, job.process, **options)


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
    """The plan of one build, and how its sources become outcomes."""

    def __init__(self, videos, labels, config, pool=None):
        self.labels, self.config, self.pool = labels, config, pool
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
        """Shuffles what is to be decoded over the shards; the rest is accounted for in the last shard of its split."""
        usable = [source for source in sources if source not in self.reasons]
        order = np.random.default_rng(self.config.seed).permutation(len(usable))
        usable = sorted((usable[index] for index in order), key=lambda source: (source.split != "train", source.split))
        plan = plan_shards(usable, CLIPS_PER_SHARD)
        for source in self.reasons:
            plan.setdefault(source.split, [[]])[-1].append(source)
        return plan

    def refuse_hopeless(self):
        """Raises DataError if what is known before decoding says already how the build would end."""
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
        }

    def process(self, pending):
        """Yields the `Outcome` of each source of the pending shards, in order."""
        sources = [source for task in pending for source in task.sources]
        usable = [source for source in sources if source not in self.reasons]
        with contextlib.closing(self.outcomes(usable)) as outcomes:
            for source in sources:
                outcome = Outcome(source, [], self.reasons[source]) if source in self.reasons else next(outcomes)
                if not outcome.records:
                    self._count(source.path, outcome.reason)
                yield outcome

    def outcomes(self, sources):
        """Generates the `Outcome` of each source, in order: of a video that worker processes decode."""
        with contextlib.closing(self.pool.map(encode_in_worker, map(self._task, sources))) as results:
            for source in sources:
                yield self._outcome(source, next(results))

    def _task(self, source):
        """The arguments of `encode_in_worker`."""
        label = None if source.label_index is None else self.labels[source.label_index]
        named = {"path": source.path, "label_index": source.label_index, "label_text": label}
        if source.path in self.segments:
            named["segments"] = self.segments[source.path]
        return self.paths[source], self.config, source.start, source.end, named

    def _outcome(self, source, result):
        if isinstance(result, WorkerError):
            return Outcome(source, [], str(result))
        (digest, facts, reason), data = result
        if facts is None:
            return Outcome(source, [], reason, {"sha256": digest})
        clip = EncodedClip(data, **facts, path=source.path, label_index=source.label_index)
        return Outcome(source, [clip], reason, {"sha256": digest, "frames": clip.frames})

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


def is_intended(reason):
    """Whether a video was left out by intent, not because it is bad."""
    return reason.startswith(INTENDED)


def kind_of(reason):
    """The kind of a reason: "damaged" of "damaged: 28 of 50 frames decoded"."""
    return reason.split(":")[0]
