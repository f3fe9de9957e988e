"""Builds clip shards from videos: `build-shards clips`.

Every video ends up written, or listed in dataset.json with the reason why not. Decoding happens in worker processes.
"""

import collections
import contextlib
import dataclasses
from pathlib import Path

import numpy as np

from videorep.config import require
from videorep.data.shards.build import build_dataset
from videorep.data.shards.build_folder import require_free
from videorep.data.shards.plan import Outcome, Source, plan_shards
from videorep.data.shards.records import EncodedClip
from videorep.data.threads import count_cores
from videorep.data.videos.encode import QUALITY, Encoding, encode_in_worker, measure_in_worker
from videorep.data.videos.estimate import estimate_bytes
from videorep.data.videos.labels import list_videos
from videorep.data.videos.pieces import sample_pieces
from videorep.data.videos.workers import WorkerError, WorkerPool
from videorep.errors import DataError
from videorep.progress import SilentProgress
from videorep.storage import require_apart

CLIPS_PER_SHARD = 32
TIMEOUT = 60.0
MAX_BAD_FRACTION = 0.5
MAX_SIDE, MAX_WORKERS, MAX_SEED = 8192, 1024, 2**64 - 1
# Left out by intent; every other reason means that a video is bad.
INTENDED = ("duplicate", "no label", "not a video", "not in the official lists", "not sampled", "unused")


def build_clips(
    videos,
    out,
    *,
    labels=None,
    split=None,
    classes=None,
    fps=None,
    size=None,
    quality=QUALITY,
    sample_seconds=None,
    total_hours=None,
    seed=0,
    workers=None,
    timeout=TIMEOUT,
    max_bad_fraction=MAX_BAD_FRACTION,
    keep_partial=False,
    allow_leaks=False,
    name="clips",
    resume=False,
    overwrite=False,
    dry_run=False,
    progress=None,
):
    """Decodes videos into clip shards, one record per video or per piece of one.

    Shards depend on the videos, the options that shape content and the seed, not on the workers or on interruptions.

    Args:
        videos: Folder of videos (searched in depth, links followed), or a CSV of path[,start,end][,label].
        out: Folder to make or to complete.
        labels, split, classes, allow_leaks: See `videos.labels.list_videos`.
        fps: Frames per second to resample to, each the one shown at that moment; None keeps every frame.
        size: (height, width) to resize to by area averaging, or the shorter side alone, which keeps each video's
            proportions (the other side is rounded to whole pixels); None keeps each video's.
        quality: Of the JPEG images, 1 to 100.
        sample_seconds: Cut random pieces of this length instead of taking whole videos.
        total_hours: How much to cut in all; None for as many pieces as fit without overlap.
        seed: Decides the order of the records, the pieces, and the sides of a split by share.
        workers: Decoding processes; one per core by default.
        timeout: Seconds without a new frame after which a decoder is stopped; its video gets one more try.
        max_bad_fraction: Give up when more than this share of the videos is bad: unreadable, damaged, too short,
            crashed, timed out, not a file. Duplicates and videos that no list names are not bad.
        keep_partial: Keep the frames that damaged videos yield; dataset.json then tells what is wrong with them.
        name: Leading part of the shards' names.
        resume, overwrite, progress: See `shards.build.build_dataset`.
        dry_run: Only find, count and decode a few frames, to tell about how many bytes the shards take; write nothing.
    Returns:
        `Dataset`; with `dry_run` a dict of what would be built.
    Raises:
        ConfigError: an option has a value that makes no sense.
        DataError: no videos, lists that do not fit, a leak between splits, or too many bad videos.
        OutputError, ShardError: see `shards.build.build_dataset`.
    """
    _require_options(fps, size, quality, sample_seconds, total_hours, seed, workers, timeout, max_bad_fraction)
    progress = progress or SilentProgress()
    require_free(out, resume, overwrite, dry_run)
    if Path(videos).is_dir():
        require_apart(out, {"VIDEOS": videos})
    listing = list_videos(videos, labels=labels, split=split, classes=classes, seed=seed, allow_leaks=allow_leaks)
    encoding = Encoding(fps, size, quality, keep_partial)
    with WorkerPool(workers or count_cores(), timeout) as pool:
        found = listing.videos
        if sample_seconds is not None:
            found, lengths = _measure(found, pool, progress)
            found = sample_pieces(found, lengths, sample_seconds, total_hours, seed)
        job = _Job(found, listing.labels, encoding, pool, max_bad_fraction, seed)
        job.refuse_hopeless()
        if dry_run:
            size = estimate_bytes([video for video in found if not video.reason], encoding, pool)
            return job.describe() | listing.facts | {"bytes": size}
        settings = {"fps": fps, "size": size, "quality": quality, "keep_partial": keep_partial}
        settings |= {"sample_seconds": sample_seconds, "total_hours": total_hours}
        made = {"command": "build-shards clips", "seed": seed, "settings": settings, "found": listing.facts}
        facts = {"labels": listing.labels, "made": made}
        options = {"resume": resume, "overwrite": overwrite, "progress": progress, "check": job.check}
        return build_dataset(out, name, "clips", job.plan, job.process, facts, **options)


def _require_options(fps, size, quality, sample_seconds, total_hours, seed, workers, timeout, max_bad_fraction):
    require(fps is None or 0.001 <= fps <= 1000, "--fps", "above 0.001 and at most 1000", fps)
    sides = () if size is None else (size,) if isinstance(size, int) else tuple(size)
    sound = len(sides) <= 2 and all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in sides)
    sound = sound and (isinstance(size, int) or len(sides) != 1)
    require(sound, "--size", f"HEIGHTxWIDTH, or a shorter side, of 1 to {MAX_SIDE} pixels", size)
    require(isinstance(quality, int) and 1 <= quality <= 100, "--quality", "a whole number from 1 to 100", quality)
    for name, value, most in (("--sample-seconds", sample_seconds, 1e6), ("--total-hours", total_hours, 1e6)):
        require(value is None or 0 < value <= most, name, f"above 0 and at most {most:,.0f}", value)
    both = total_hours is None or sample_seconds is not None
    require(both, "--total-hours", "given together with --sample-seconds", total_hours)
    require(isinstance(seed, int) and 0 <= seed <= MAX_SEED, "--seed", f"a whole number from 0 to {MAX_SEED}", seed)
    sound = workers is None or (isinstance(workers, int) and 1 <= workers <= MAX_WORKERS)
    require(sound, "--workers", f"a whole number from 1 to {MAX_WORKERS}", workers)
    require(0 < timeout <= 1e6, "--timeout", "above 0 and at most 1,000,000 seconds", timeout)
    require(0 <= max_bad_fraction <= 1, "--max-bad-fraction", "from 0 to 1", max_bad_fraction)


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


class _Job:
    """The plan of one build, and how its sources become outcomes."""

    def __init__(self, videos, labels, encoding, pool, max_bad_fraction, seed):
        self.labels, self.encoding, self.pool = labels, encoding, pool
        self.max_bad_fraction = max_bad_fraction
        sources = {self._source(video): video for video in videos}
        self.paths = {source: video.file.path for source, video in sources.items()}
        self.reasons = {source: video.reason for source, video in sources.items() if video.reason}
        self.total = sum(not is_intended(self.reasons.get(source, "")) for source in sources)
        self.bad = collections.Counter()
        self.plan = self._plan(sources, seed)

    def _source(self, video):
        label = self.labels.index(video.label) if video.label in self.labels else None
        return Source(video.file.name, video.split, label, start=video.start, end=video.end)

    def _plan(self, sources, seed):
        """Shuffles what is to be decoded over the shards; the rest is accounted for in the last shard of its split."""
        usable = [source for source in sources if source not in self.reasons]
        order = np.random.default_rng(seed).permutation(len(usable))
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

    def describe(self):
        """What a dry run tells."""
        usable = [source for source in self.paths if source not in self.reasons]
        return {
            "clips": dict(collections.Counter(source.split for source in usable)),
            "shards": {split: len(shards) for split, shards in self.plan.items()},
            "classes": len(self.labels),
            "left_out": dict(collections.Counter(map(kind_of, self.reasons.values()))),
        }

    def process(self, pending):
        """Yields the `Outcome` of each source of the pending shards, in order."""
        sources = [source for task in pending for source in task.sources]
        tasks = (self._task(source) for source in sources if source not in self.reasons)
        with contextlib.closing(self.pool.map(encode_in_worker, tasks)) as results:
            for source in sources:
                if source in self.reasons:
                    outcome = Outcome(source, [], self.reasons[source])
                else:
                    outcome = self._outcome(source, next(results))
                if not outcome.records:
                    self._count(source.path, outcome.reason)
                yield outcome

    def _task(self, source):
        """The arguments of `encode_in_worker`."""
        label = None if source.label_index is None else self.labels[source.label_index]
        named = {"path": source.path, "label_index": source.label_index, "label_text": label}
        return self.paths[source], self.encoding, source.start, source.end, named

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
        bad = self.bad.total()
        if bad > self.max_bad_fraction * self.total:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.bad.most_common())
            raise DataError(
                f"expected at most {self.max_bad_fraction:.0%} of {self.total} videos to be bad, received {bad} so far "
                f"({kinds}), the last {path!r}: {reason}; mend or remove them, or raise --max-bad-fraction"
            )


def is_intended(reason):
    """Whether a video was left out by intent, not because it is bad."""
    return reason.startswith(INTENDED)


def kind_of(reason):
    """The kind of a reason: "damaged" of "damaged: 28 of 50 frames decoded"."""
    return reason.split(":")[0]


def count_outcomes(dataset):
    """How many sources were written, written in part, and left out by kind of reason: what the command prints."""
    written = [source for source in dataset.sources if source["records"]]
    left_out = collections.Counter(kind_of(source["reason"]) for source in dataset.sources if not source["records"])
    return {
        "written": len(written),
        "partial": sum(bool(source["reason"]) for source in written),
        "left_out": dict(sorted(left_out.items())),
    }
