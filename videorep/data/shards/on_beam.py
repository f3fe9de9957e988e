"""Builds shards on Apache Beam (extra `beam`): each is written by whatever worker Beam's runner chooses.

Every worker process plans the build from the same arguments, and must see the inputs and the folder of the shards under
the same names. Who is given a shard twice, as after a failure of another worker, writes the same bytes.
"""

import argparse
import atexit
import contextlib
import logging
import threading

import apache_beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared

from videorep.data.shards.build import Build
from videorep.data.shards.build_folder import BUILD_FOLDER, PLAN_FILE, read_note, write_note
from videorep.errors import ConfigError, OutputError, ShardError, VideorepError
from videorep.progress import SilentProgress

FAILURES = "failures"
QUIET = "--default_sdk_harness_log_level=ERROR"  # unless the options say otherwise
LOCAL = (None, "DirectRunner", "SwitchingDirectRunner", "BundleBasedDirectRunner", "PrismRunner")  # others have more


def require_options(options):
    """Raises a ConfigError where Beam has no such options; it would pass over them. Other runners ask their server."""
    parser = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, exit_on_error=False, conflict_handler="resolve"
    )
    for group in PipelineOptions.__subclasses__():
        group._add_argparse_args(parser)
    try:
        known, unknown = parser.parse_known_args(options)
    except argparse.ArgumentError as error:
        raise ConfigError(f"expected options of Apache Beam behind --, received: {error}; see Beam's pages") from error
    if unknown and known.runner in LOCAL:
        raise ConfigError(
            f"expected options of Apache Beam behind --, received {' '.join(unknown)}, which its runner "
            f"{known.runner or 'on this machine'} does not have; see Beam's pages for their names"
        )


def build_on_beam(build, open_work, options, progress):
    """Writes the shards of an opened `Build` that are pending, then dataset.json; arguments as of `parts.carry_out`.

    Returns:
        `Dataset`.
    Raises:
        ShardError: shards could not be built; it gives the reasons. Or Beam could not run.
    """
    if build.dataset is not None:
        return build.dataset
    pending = [number for number, task in enumerate(build.tasks) if build.journal(task) is None]
    for number in pending:
        _note_path(build.out, number).unlink(missing_ok=True)
    with progress.task("Building shards on Beam", len(pending), "shards") as advance:
        if pending:
            _run(pending, apache_beam.ParDo(_BuildShard(open_work, build.out)), PipelineOptions([QUIET, *options]))
        failed = [number for number in pending if build.journal(build.tasks[number]) is None]
        advance(len(pending) - len(failed))
        if failed:
            told = "; ".join(f"{build.file(build.tasks[number])}: {_reason(build, number)}" for number in failed[:3])
            raise ShardError(
                f"expected {len(pending)} shards from Beam, {len(failed)} could not be built ({told}); mend that and "
                "go on with --resume"
            )
    build.finish()
    return build.dataset


def _run(numbers, build_shard, options):
    """Has Beam build the shards of these numbers; those that cannot be built go to a side output, not retried."""
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    try:
        with apache_beam.Pipeline(options=options) as pipeline:
            built = (
                pipeline
                | "Numbers of shards" >> apache_beam.Create(numbers)
                | "One by one" >> apache_beam.Reshuffle()
                | "Build" >> build_shard.with_outputs(FAILURES, main="built")
            )
            _ = built[FAILURES] | "Note failures" >> apache_beam.Map(_note_failure)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ShardError(
            f"expected Beam to run to its end, received: {reason}; check its options, and go on with --resume"
        ) from error


class _Worker:
    """What a worker process needs for any shard: the plan, made once, and what carries it out."""

    def __init__(self, open_work, out):
        self._resources, self._one_at_a_time = contextlib.ExitStack(), threading.Lock()
        atexit.register(self._resources.close)
        self.work = self._resources.enter_context(open_work(SilentProgress()))
        self.build = Build(out, self.work.recipe, self.work.check)
        if not (self.build.out / BUILD_FOLDER / PLAN_FILE).exists():
            raise OutputError(f"expected {out} to be where all of Beam's workers see it, received another folder")
        self.build.open(resume=True, overwrite=False, alone=False)

    def write(self, number):
        with self._one_at_a_time:
            self.build.write([self.build.tasks[number]], self.work.process, SilentProgress())


class _BuildShard(apache_beam.DoFn):
    """From the number of a shard to the number again, or to (path of the note, sentence) among `FAILURES`."""

    def __init__(self, open_work, out):
        self._open_work, self._out, self._shared = open_work, out, Shared()

    def process(self, number):
        try:
            worker = self._shared.acquire(lambda: _Worker(self._open_work, self._out))
            worker.write(number)
            yield number
        except VideorepError as error:
            yield apache_beam.pvalue.TaggedOutput(FAILURES, (_note_path(self._out, number), str(error)))


def _note_path(out, number):
    return out / BUILD_FOLDER / f"failure-{number}.json"


def _note_failure(failure):
    path, reason = failure
    with contextlib.suppress(OSError):  # the launcher sees that the shard is missing
        write_note(path, {"reason": reason})


def _reason(build, number):
    path = _note_path(build.out, number)
    note = read_note(path) if path.exists() else None
    return note["reason"] if note else "no reason known; do all of Beam's workers see the folder?"
