"""Builds a folder of shards that can be interrupted at any moment and resumed, with the same bytes at the end.

A shard is written under a temporary name in `.build`, flushed to disk and renamed; then `.build` gets its journal.
(Where the folder is a URL, a shard is written in this machine's temporary folder and uploaded when it is finished.)
dataset.json is written when every shard has its journal, and `.build` goes away.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import re

from videorep.data.dataset import (
    KINDS,
    LEFT_OUT,
    MANIFEST,
    SCHEMA_VERSION,
    WRITTEN,
    Dataset,
    ShardInfo,
    checksum,
    load_dataset,
    save_dataset,
    shard_name,
)
from videorep.data.records import ShardTask
from videorep.data.shard_writer import TRAITS, ShardWriter, output_errors
from videorep.data.statistics import FeatureStatistics
from videorep.errors import ConfigError, DataError, OutputError, ShardError
from videorep.progress import SilentProgress
from videorep.storage import locate, remove_folder, workplace, write_text_durably

BUILD_FOLDER = ".build"
PLAN_FILE = "plan.json"
SHARD_PATTERN = "*.tfrecord-[0-9]*-of-[0-9]*"
PACKAGES = ("videorep", "tensorflow", "keras", "numpy", "opencv-python-headless")


def build_dataset(
    out, name, kind, plan, process, facts, *, resume=False, overwrite=False, progress=None, unit="videos", check=None
):
    """Writes the shards that `plan` names and, last, dataset.json.

    Content and order follow from the plan and from what `process` yields: nothing else goes into the files.

    Args:
        out: Folder to make or to complete, or its URL.
        name: Leading part of the shards' names: letters, digits, dot, dash and underscore.
        kind: "clips" or "percepts".
        plan: `{split: [[Source, ...] per shard]}`, as `records.plan_shards` makes it.
        process: Function `(pending: list[ShardTask]) -> iterator of Outcome`, one per source in the order of `pending`.
            Called once with the shards that are still to be written, so that work can overlap across shards.
        facts: {"labels": class names in order of their index, "made": {"command", "seed", "settings": whatever shapes
            the content}}. Settings, seed, labels and plan must be the same when a build is resumed.
        resume: Keep the shards that are finished; starts afresh where nothing was begun.
        overwrite: Remove the folder's old shards first.
        progress: A reporter of `videorep.progress`, or None for silence.
        unit: What the sources are called in progress lines.
        check: Function of a list of sources' entries as in dataset.json, or None. Called before `process` with those of
            the shards that an earlier run finished, and at the end with all; it may raise to end the build.
    Returns:
        `Dataset`.
    Raises:
        OutputError: `out` cannot be written, is full, or holds something and neither option was given.
        StorageError: a URL of a kind that cannot be written with what is installed.
        ShardError: resumed with another plan, or records that do not fit together.
        DataError: not one record came of the sources.
    """
    out = locate(out)
    _require_plan(name, kind, plan)
    began = _describe_plan(name, kind, plan, facts)
    created = not out.exists()
    finished = _open_folder(out, began, resume, overwrite)
    if finished is not None:
        return finished
    build = _Build(out, name, kind, plan, began, check or (lambda entries: None))
    try:
        build.run(process, SilentProgress() if progress is None else progress, unit)
        return build.finish()
    except BaseException:
        build.clean(created)
        raise


def _require_plan(name, kind, plan):
    if kind not in KINDS:
        raise ConfigError(f"expected kind to be one of {', '.join(KINDS)}, received {kind!r}")
    for part in (name, *plan):
        if not re.fullmatch(r"[A-Za-z0-9._-]+", part):
            raise ConfigError(f"expected a name of letters, digits, dots, dashes and underscores, received {part!r}")
    if not any(sources for shards in plan.values() for sources in shards):
        raise DataError("expected at least one input to build shards from, received none; check the input folder")


def _describe_plan(name, kind, plan, facts):
    """What `.build/plan.json` holds: what the build is of, and the fingerprint that a resumed build must share."""
    made = dict(facts.get("made", {}))
    labels = list(facts.get("labels", ()))
    sources = {split: [[dataclasses.asdict(s) for s in shard] for shard in shards] for split, shards in plan.items()}
    shaping = [SCHEMA_VERSION, name, kind, labels, sources, made.get("seed"), made.get("settings")]
    made["versions"] = _versions()
    return {"fingerprint": checksum(shaping), "labels": labels, "made": made}


def _versions():
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def require_free(out, resume, overwrite):
    """Checks, without writing, that shards can go into the folder `out`: it is new or empty, or an option fits it.

    Returns:
        Whether there are shards, finished or not.
    Raises:
        ConfigError: both options.
        OutputError: it holds other files, or shards and neither option was given.
        StorageError: a URL of a kind that cannot be written with what is installed.
    """
    if resume and overwrite:
        raise ConfigError("expected --resume or --overwrite, received both; give the one that you mean")
    out = locate(out)
    with output_errors(out):
        if not out.exists() or not any(out.iterdir()):
            return False
        if not ((out / MANIFEST).exists() or (out / BUILD_FOLDER).exists()):
            raise OutputError(
                f"expected an empty or new folder, received {out}, which holds other files; choose another"
            )
        if not (resume or overwrite):
            what = "finished shards" if (out / MANIFEST).exists() else "an unfinished build"
            raise OutputError(
                f"expected an empty or new folder, received {out}, which holds {what}; "
                "continue it with --resume or replace it with --overwrite"
            )
    return True


def _open_folder(out, began, resume, overwrite):
    """Makes `out` ready to be written; returns the Dataset if it is finished already.

    `began` takes over what the first, interrupted run wrote down, so that the result does not tell of the interruption.
    """
    occupied = require_free(out, resume, overwrite)
    with output_errors(out):
        if overwrite and occupied:
            _remove_shards(out)
        if (out / MANIFEST).exists():
            dataset = load_dataset(out)
            _require_same_plan(out, dataset.fingerprint, began)
            remove_folder(out / BUILD_FOLDER)
            return dataset
        plan_file = out / BUILD_FOLDER / PLAN_FILE
        if plan_file.exists():
            first = json.loads(plan_file.read_text(encoding="utf-8"))
            _require_same_plan(out, first["fingerprint"], began)
            if first["made"]["versions"] != began["made"]["versions"]:
                first["made"]["resumed_with"] = began["made"]["versions"]
            began.update(first)
        else:
            _begin(out, began)
    return None


def _begin(out, began):
    """Writes down the plan, or leaves nothing behind."""
    created, folder = not out.exists(), out / BUILD_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text_durably(folder / PLAN_FILE, json.dumps(began) + "\n")
    except OSError:
        remove_folder(folder)
        if created:
            with contextlib.suppress(OSError):
                out.rmdir()
        raise


def _require_same_plan(out, fingerprint, began):
    if fingerprint != began["fingerprint"]:
        raise ShardError(
            f"expected the inputs and options that {out} was begun with, received others; "
            "give the first command again with --resume, or start over with --overwrite"
        )


def _remove_shards(out):
    """Removes dataset.json first: from then on the folder is an unfinished build."""
    (out / MANIFEST).unlink(missing_ok=True)
    for path in out.glob(SHARD_PATTERN):
        path.unlink()
    remove_folder(out / BUILD_FOLDER)


class _Build:
    """The state of one run of `build_dataset`."""

    def __init__(self, out, name, kind, plan, began, check):
        self.out, self.name, self.kind, self.began, self.check = out, name, kind, began, check
        self.tasks = [
            ShardTask(split, index, len(shards), tuple(sources))
            for split, shards in plan.items()
            for index, sources in enumerate(shards)
        ]
        self.statistics_split = "train" if "train" in plan else next(iter(plan))

    def _file(self, task):
        return shard_name(self.name, task.split, task.index, task.of)

    def _journal_path(self, task):
        return self.out / BUILD_FOLDER / f"{self._file(task)}.json"

    def _journal(self, task):
        """What was written down when the shard was finished, or None."""
        path, shard = self._journal_path(task), self.out / self._file(task)
        if not path.exists():
            return None
        journal = json.loads(path.read_text(encoding="utf-8"))
        return journal if shard.exists() and shard.stat().st_size == journal["shard"]["bytes"] else None

    def run(self, process, progress, unit):
        """Writes every shard that has no journal."""
        journals = {task: self._journal(task) for task in self.tasks}
        pending = [task for task, journal in journals.items() if journal is None]
        finished = [entry for journal in journals.values() if journal for entry in journal["sources"]]
        total, done = sum(len(task.sources) for task in self.tasks), len(finished)
        if done:
            self.check(finished)
        if not pending:
            return
        outcomes = iter(process(pending))
        try:
            with progress.task("Building shards", total, unit, done=done) as advance:
                for task in pending:
                    self._write_shard(task, outcomes, advance)
        finally:
            getattr(outcomes, "close", lambda: None)()

    def _write_shard(self, task, outcomes, advance):
        temporary = workplace(self.out / BUILD_FOLDER) / (self._file(task) + ".tmp")
        writer = ShardWriter(self.out, temporary, self._file(task), self.kind, self.began["labels"])
        statistics = FeatureStatistics() if self.kind == "percepts" and task.split == self.statistics_split else None
        reports = []
        try:
            for source in task.sources:
                outcome = next(outcomes)
                if outcome.source != source:
                    raise ValueError(f"expected the outcome of {source.path}, received that of {outcome.source.path}")
                for record in outcome.records:
                    writer.write(record)
                    if statistics is not None:
                        statistics.add(record.array)
                reports.append(_report(outcome, self._file(task)))
                advance(1, note=source.path)
            shard = writer.finish()
        finally:
            writer.discard()
        journal = {"shard": dataclasses.asdict(shard), "sources": reports, "traits": writer.traits}
        journal["statistics"] = None if statistics is None else statistics.to_plain()
        with output_errors(self.out):
            write_text_durably(self._journal_path(task), json.dumps(journal) + "\n")

    def finish(self):
        """Writes dataset.json from the journals and removes them."""
        journals = [self._journal(task) for task in self.tasks]
        if None in journals:
            raise OutputError(f"expected the finished shards in {self.out}, found some gone; go on with --resume")
        sources = [source for journal in journals for source in journal["sources"]]
        self.check(sources)
        if not any(source["records"] for source in sources):
            for task in self.tasks:
                self._journal_path(task).unlink()
            reasons = "; ".join(f"{source['path']}: {source['reason']}" for source in sources[:3])
            raise DataError(f"expected records from {len(sources)} inputs, received none ({reasons}); check the inputs")
        splits, statistics = {}, FeatureStatistics()
        for task, journal in zip(self.tasks, journals, strict=True):
            splits.setdefault(task.split, []).append(ShardInfo(**journal["shard"]))
            if journal["statistics"] is not None:
                statistics.merge(journal["statistics"])
        dataset = Dataset(
            folder=self.out,
            kind=self.kind,
            name=self.name,
            labels=tuple(self.began["labels"]),
            splits={split: tuple(shards) for split, shards in splits.items()},
            sources=tuple(sources),
            made=self.began["made"],
            fingerprint=self.began["fingerprint"],
            statistics=statistics.summary(self.statistics_split),
            **self._common_traits(journals),
        )
        with output_errors(self.out):
            save_dataset(dataset)
            remove_folder(self.out / BUILD_FOLDER)
        return load_dataset(self.out)

    def _common_traits(self, journals):
        """For each trait of the records the value that all share, or None."""
        common = {}
        for trait in TRAITS:
            values = {value for journal in journals for value in journal["traits"][trait]}
            if trait in ("features", "dtype", "compression") and len(values) > 1:
                raise ShardError(
                    f"expected one {trait} for all percepts, received {', '.join(map(str, sorted(values)))}; "
                    "build each into its own folder"
                )
            common[trait] = values.pop() if len(values) == 1 else None
        return common

    def clean(self, created):
        """After a failure: removes all that was made if no shard was finished, so that nothing half-written is left."""
        if any(self._journal_path(task).exists() for task in self.tasks):
            return
        with contextlib.suppress(OSError):
            for task in self.tasks:
                (self.out / self._file(task)).unlink(missing_ok=True)
            remove_folder(self.out / BUILD_FOLDER)
            if created:
                self.out.rmdir()


def _report(outcome, file):
    """A source's entry in dataset.json."""
    written = len(outcome.records) > 0
    if not written and not outcome.reason:
        raise ValueError(f"expected a reason why {outcome.source.path} was left out, received none")
    entry = dataclasses.asdict(outcome.source) | outcome.facts
    status = {"status": WRITTEN if written else LEFT_OUT, "reason": outcome.reason}
    return entry | status | {"records": len(outcome.records), "shard": file if written else None}
