"""Builds a folder of shards that can be interrupted at any moment and resumed, with the same bytes at the end.

A shard is written under a temporary name in `.build`, flushed to disk and renamed; then `.build` gets its journal.
(Where the folder is a URL, a shard is written in this machine's temporary folder and uploaded when it is finished.)
dataset.json is written when every shard has its journal, and `.build` goes away. One process at a time may write in a
folder of this machine, or the parts of one build (`parts.py`); a URL has no lock, so there nobody keeps two builds from
mixing their shards.
"""

import contextlib
import dataclasses
import importlib.metadata
import re
import secrets

from videorep.bounds import require_choice
from videorep.data.shards.build_folder import BUILD_FOLDER, open_folder, read_note, require_free, write_note, writing_in
from videorep.data.shards.dataset import MANIFEST, Dataset, ShardInfo
from videorep.data.shards.hashes import checksum
from videorep.data.shards.manifest import load_dataset, save_dataset
from videorep.data.shards.manifest_schema import KINDS, LEFT_OUT, SCHEMA_VERSION, WRITTEN, shard_name
from videorep.data.shards.plan import ShardTask
from videorep.data.shards.shard_writer import TRAITS, ShardWriter, output_errors
from videorep.data.shards.statistics import FeatureStatistics
from videorep.errors import ConfigError, DataError, ShardError
from videorep.progress import SilentProgress
from videorep.storage import locate, remove_folder, workplace

PACKAGES = ("videorep", "tensorflow", "keras", "numpy", "opencv-python-headless")


def build_dataset(out, recipe, process, *, resume=False, overwrite=False, progress=None, check=None):
    """Writes the shards that a recipe plans and, last, dataset.json.

    Content and order follow from the recipe and from what `process` yields: nothing else goes into the files.

    Args:
        out: Folder to make or to complete, or its URL.
        recipe: `plan.Recipe`.
        process: Function `(pending: list[ShardTask]) -> iterator of Outcome`, one per source in the order of `pending`.
            Called once with the shards that are still to be written, so that work can overlap across shards.
        resume: Keep the shards that are finished; starts afresh where nothing was begun.
        overwrite: Remove the folder's old shards first.
        progress: A reporter of `videorep.progress`, or None for silence.
        check: Function of a list of sources' entries as in dataset.json, or None. Called before `process` with those of
            the shards that an earlier run finished, and at the end with all; it may raise to end the build.
    Returns:
        `Dataset`.
    Raises:
        OutputError: `out` cannot be written, is full, holds something and neither option was given, or another process
            is writing there (which nobody notices at a URL).
        StorageError: a URL of a kind that cannot be written with what is installed.
        ShardError: resumed with another plan, or records that do not fit together.
        DataError: not one record came of the sources.
    """
    with begin_build(out, recipe, check, resume, overwrite) as build:
        if build.dataset is None:
            build.write(build.tasks, process, SilentProgress() if progress is None else progress)
            build.finish()
        return build.dataset


@contextlib.contextmanager
def begin_build(out, recipe, check=None, resume=False, overwrite=False, part=None):
    """Opens the folder of a build for as long as the block lasts; gives its `Build`. Arguments as of `build_dataset`.

    `part` is the `Part` that this process writes of it: others may then write theirs.
    """
    build = Build(out, recipe, check)
    require_free(build.out, resume, overwrite, shared=part is not None)
    with writing_in(build.out, part):
        if part is not None:
            build.began["parts"] = part.of
        build.open(resume, overwrite, alone=part is None)
        try:
            yield build
        except BaseException:
            if not build.began.get("parts"):  # what others began stays theirs
                build.clean()
            raise


def _require_plan(recipe):
    require_choice(recipe, "kind", KINDS)
    for part in (recipe.name, *recipe.plan):
        if not re.fullmatch(r"[A-Za-z0-9._-]+", part):
            raise ConfigError(f"expected a name of letters, digits, dots, dashes and underscores, received {part!r}")
    if not any(sources for shards in recipe.plan.values() for sources in shards):
        raise DataError("expected at least one input to build shards from, received none; check the input folder")


def _describe_plan(recipe):
    """What `.build/plan.json` holds: what the build is of, and the fingerprint that a resumed build must share."""
    plan, made, labels = recipe.plan, dict(recipe.made), list(recipe.labels)
    sources = {split: [[dataclasses.asdict(s) for s in shard] for shard in shards] for split, shards in plan.items()}
    shaping = [SCHEMA_VERSION, recipe.name, recipe.kind, labels, sources, made.get("seed"), made.get("settings")]
    made["versions"] = _versions()
    counts = {split: len(shards) for split, shards in plan.items()}
    files = [shard_name(recipe.name, split, n, count) for split, count in counts.items() for n in range(count)]
    return {"fingerprint": checksum(shaping), "labels": labels, "made": made, "shards": files}


def _versions():
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


class Build:
    """The state of one run of a build, or of a part of it.

    Attributes:
        tasks: The `ShardTask`s of the whole plan, in its order.
        dataset: The `Dataset` once it is finished.
    """

    def __init__(self, out, recipe, check=None):
        _require_plan(recipe)
        self.out, self.recipe, self.began = locate(out), recipe, _describe_plan(recipe)
        self.check, self.dataset = check or (lambda entries: None), None
        self.tasks = [
            ShardTask(split, index, len(shards), tuple(sources))
            for split, shards in recipe.plan.items()
            for index, sources in enumerate(shards)
        ]
        self.statistics_split = "train" if "train" in recipe.plan else next(iter(recipe.plan))

    def open(self, resume, overwrite, alone):
        """See `open_folder`."""
        self.dataset = open_folder(self.out, self.began, resume, overwrite, alone)

    def file(self, task):
        """The name of a task's shard."""
        return shard_name(self.recipe.name, task.split, task.index, task.of)

    def _journal_path(self, task):
        return self.out / BUILD_FOLDER / f"{self.file(task)}.json"

    def journal(self, task):
        """What was written down when the shard was finished, or None."""
        path, shard = self._journal_path(task), self.out / self.file(task)
        if not path.exists():
            return None
        journal = read_note(path)
        if journal is None or journal["shard"]["file"] != self.file(task):
            return None
        return journal if shard.exists() and shard.stat().st_size == journal["shard"]["bytes"] else None

    def write(self, tasks, process, progress):
        """Writes those shards of the tasks that have no journal; progress and check are of these tasks alone."""
        journals = {task: self.journal(task) for task in tasks}
        pending = [task for task, journal in journals.items() if journal is None]
        finished = [entry for journal in journals.values() if journal for entry in journal["sources"]]
        total, done = sum(len(task.sources) for task in tasks), len(finished)
        if finished:
            self.check(finished)
        if not pending:
            return
        outcomes = iter(process(pending))
        try:
            with progress.task("Building shards", total, self.recipe.unit, done=done) as advance:
                for task in pending:
                    self._write_shard(task, outcomes, advance)
        finally:
            getattr(outcomes, "close", lambda: None)()

    def _write_shard(self, task, outcomes, advance):
        temporary = workplace(self.out / BUILD_FOLDER) / f"{self.file(task)}.{secrets.token_hex(8)}.tmp"
        writer = ShardWriter(self.out, temporary, self.file(task), self.recipe.kind, self.began["labels"])
        measured = self.recipe.kind == "percepts" and task.split == self.statistics_split
        statistics = FeatureStatistics() if measured else None
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
                reports.append(_report(outcome, self.file(task)))
                advance(1, note=source.path)
            shard = writer.finish()
        finally:
            writer.discard()
        journal = {"shard": dataclasses.asdict(shard), "sources": reports, "traits": writer.traits}
        journal["statistics"] = None if statistics is None else statistics.to_plain()
        with output_errors(self.out):
            write_note(self._journal_path(task), journal)

    def finish(self):
        """Writes dataset.json from the journals and removes them."""
        journals = [self.journal(task) for task in self.tasks]
        self._require_all(journals)
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
            kind=self.recipe.kind,
            name=self.recipe.name,
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
        self.dataset = load_dataset(self.out)

    def _require_all(self, journals):
        missing, parts = [index for index, each in enumerate(journals) if each is None], self.began.get("parts")
        if not missing:
            return
        remedy = "go on with --resume"
        if parts:
            numbers = sorted({index % parts + 1 for index in missing})
            which = ", ".join(f"{number}/{parts}" for number in numbers[:10]) + (", ..." if numbers[10:] else "")
            remedy = f"give these parts again, then --finish: {which}"
        raise ShardError(
            f"expected the {len(journals)} shards of the plan in {self.out}, received {len(journals) - len(missing)}; "
            + remedy
        )

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

    def clean(self):
        """After a failure: removes all that was made if no shard was finished, so that nothing half-written is left."""
        if (self.out / MANIFEST).exists() or any(self._journal_path(task).exists() for task in self.tasks):
            return
        with contextlib.suppress(OSError):
            for task in self.tasks:
                (self.out / self.file(task)).unlink(missing_ok=True)
            remove_folder(self.out / BUILD_FOLDER)


def _report(outcome, file):
    """A source's entry in dataset.json."""
    written = len(outcome.records) > 0
    if not written and not outcome.reason:
        raise ValueError(f"expected a reason why {outcome.source.path} was left out, received none")
    entry = dataclasses.asdict(outcome.source) | outcome.facts
    status = {"status": WRITTEN if written else LEFT_OUT, "reason": outcome.reason}
    return entry | status | {"records": len(outcome.records), "shard": file if written else None}
