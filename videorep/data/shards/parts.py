"""Carries out a build: in this process alone, or together with others, each of which writes a part of the shards.

Every part plans the whole build from the same arguments, and writes the shards of its number with their journals.
When all are there, `FINISH` writes dataset.json from the journals: the same bytes as one process's.
"""

import importlib.util

from videorep.build_config import FINISH
from videorep.data.shards.build import begin_build, build_dataset
from videorep.data.shards.build_folder import require_free
from videorep.errors import ConfigError, ShardError
from videorep.progress import SilentProgress


def carry_out(open_work, out, *, resume=False, overwrite=False, dry_run=False, progress=None, part=None, beam=None):
    """Does what was planned, or tells of it.

    Args:
        open_work: Function of a reporter that gives a context manager of a `plan.Work`; with `beam` it can be pickled.
        out, resume, overwrite, progress: See `videorep.data.shards.build.build_dataset`.
        dry_run: Write nothing.
        part: A `Part`, which goes on where it was interrupted; `FINISH`, when all are there; None for all at once.
        beam: Options of Apache Beam, a list of strings, on whose workers shards are built; None for this process.
    Returns:
        `Dataset`; with `dry_run`, and of a part, a dict that tells what would be, or is, made.
    Raises:
        ConfigError: `beam` without Apache Beam, options that it does not have, or that exclude one another.
        ShardError: `FINISH` where nothing was begun, or before all shards are there; a part of another plan, or with
            other versions.
        OutputError: see `build_dataset`; or the same part is being written.
    """
    if overwrite and part is not None:
        raise ConfigError("expected parts to begin in an empty or new folder, received --overwrite; remove the folder")
    if beam is not None:
        if importlib.util.find_spec("apache_beam") is None:
            raise ConfigError(
                "expected Apache Beam for --runner beam, received an installation without it; "
                "pip install 'videorep[beam]'"
            )
        from videorep.data.shards.on_beam import require_options

        require_options(beam)
    together = part not in (None, FINISH)
    there = require_free(out, resume or part is not None, overwrite, dry_run, shared=together)
    if part == FINISH and not there:
        raise ShardError(
            f"expected parts of a build in {out}, received nothing there; write them with --part 1/N to N/N"
        )
    progress = progress or SilentProgress()
    with open_work(progress) as work:
        if dry_run:
            return work.describe() | (_describe_part(work.recipe, part) if together else {})
        if together:
            return _write_part(out, work, part, progress)
        if beam is not None:
            from videorep.data.shards.on_beam import build_on_beam

            with begin_build(out, work.recipe, work.check, resume, overwrite) as build:
                return build_on_beam(build, open_work, beam, progress)
        if part == FINISH:
            with begin_build(out, work.recipe, work.check, resume=True) as build:
                if build.dataset is None:
                    build.finish()
                return build.dataset
        choices = {"resume": resume, "overwrite": overwrite, "progress": progress, "check": work.check}
        return build_dataset(out, work.recipe, work.process, **choices)


def _write_part(out, work, part, progress):
    with begin_build(out, work.recipe, work.check, resume=True, part=part) as build:
        if build.dataset is not None:
            return build.dataset
        tasks = build.tasks[part.number - 1 :: part.of]
        build.write(tasks, work.process, progress)
    return _describe_part(work.recipe, part) | {"then": "the same command with --finish, when all parts are written"}


def _describe_part(recipe, part):
    shards = sum(map(len, recipe.plan.values()))
    return {"part": str(part), "shards": len(range(part.number - 1, shards, part.of)), "shards_of_all_parts": shards}
