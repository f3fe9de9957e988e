"""The one way to start a run: its folder first, then data and model, then training.

Each kind of run says in a function what is its own, a `Job` for a configuration; `run_job` does the rest.
"""

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import keras

from videorep.config_values import to_dict
from videorep.data.batches.sources import inputs_of
from videorep.errors import OutputError, VideorepWarning
from videorep.locking import alone_in, exclusive
from videorep.runs import CHECKPOINTS, PROVENANCE, Run, check_run, create_run, require_free
from videorep.storage import require_apart, require_local
from videorep.training import provenance
from videorep.training.forecast import forecast
from videorep.training.loop import TrainingLoop
from videorep.training.team import join, require_divisible
from videorep.writing import written


@dataclasses.dataclass
class Job:
    """What is to be trained, on what, and to what end.

    Args:
        config: PretrainConfig, FinetuneConfig or StreamConfig, with what the data decides filled in.
        data: Source with `training(batch_size, seed, start_step)`, endless batches, and `provenance`.
        model: Keras model.
        objective: As for `TrainingLoop`.
        facts: What there is to tell of the plan, {name: value}.
        evaluate, slow, slow_rate: As for `TrainingLoop`.
        pretrained: Run that the model starts from, or None.
        begin: Called before the first step, not where a run is gone on with; or None.
    """

    config: object
    data: object
    model: keras.Model
    objective: Callable
    facts: dict
    evaluate: Callable | None = None
    slow: tuple = ()
    slow_rate: float = 1.0
    pretrained: object = None
    begin: Callable | None = None

    @property
    def provenance(self):
        """What the run is made from and with."""
        made_from = {"versions": provenance.versions(), "data": self.data.provenance}
        return made_from | ({"init": provenance.of_pretrained(self.pretrained)} if self.pretrained else {})


def run_job(prepare, config, out, *, dry_run=False, progress=None, foretell=True, strategy="one", **choices):
    """Trains a model and leaves a run's folder, in which nobody else writes meanwhile.

    Args:
        prepare: Function of a configuration, and of `hashed`, whether to compare shards with their hashes, that gives
            a `Job`.
        config: What `prepare` is to be called with.
        out: Folder of the run.
        dry_run: Only tell what would be done, and what it would take unless not `foretell`.
        progress: Reporter, see `videorep.progress`.
        strategy: "one" device, "mirrored" (all of this machine) or "multi-worker" (TF_CONFIG says which processes,
            each of which calls this; the first one writes the run, the others nothing).
        choices: resume, overwrite: go on with the run that is there, or replace it.
    Returns:
        dict: where the run is and what its last report said.
    Raises:
        RunError, OutputError, ConfigError: the folder cannot be used, or the strategy; before anything is read or
            built.
        RunError: another worker ended.
        VideorepError: what `prepare` and training raise. An old run goes when its successor could be built.
    """
    require_local(out, OutputError)
    require_apart(out, inputs_of(config))
    require_divisible(config.training.batch_size, strategy)
    team = join("one" if dry_run else strategy)
    with contextlib.ExitStack() as stack:
        stack.enter_context(team.complete())
        if team.is_chief:
            _require_unused(Path(out), choices)
            stack.enter_context(_writing_in(Path(out), dry_run))
        with team.strategy.scope():
            job = prepare(config, hashed=not dry_run)
        plan, record = {"run": str(out)} | job.facts, job.provenance
        if team.is_chief:
            record = _require_continuable(out, job.config, record, choices)
        if dry_run:
            return plan | ({"forecast": forecast(job)} if foretell else {})
        team.require_same([to_dict(job.config), job.provenance])
        return plan | _train(job, team, out, record, progress, choices)


def _require_continuable(out, config, record, choices):
    """What the run is to record of its making; a RunError where what was begun cannot be gone on with."""
    begun = check_run(out, config, **choices)
    if begun and _has_begun(begun):
        record, changed = provenance.resume(out, begun.provenance, record)
        if changed and not begun.finished:
            sentence = f"{out} was begun with other versions, so its figures may differ a little: {changed}"
            warnings.warn(sentence, VideorepWarning, stacklevel=4)
    return record


def _train(job, team, out, record, progress, choices):
    """Trains to the end; gives the last report."""
    training = job.config.training
    run = create_run(out, job.config, **choices) if team.is_chief else Run(Path(out), job.config)
    if team.of_chief(run.finished):
        return run.last_report() if team.is_chief else {}
    if team.is_chief:
        run.write_provenance(record)
    loop = TrainingLoop(job.model, job.objective, training, run, job.evaluate, job.slow, job.slow_rate, team=team)
    step = loop.restore()
    if not step and job.begin:
        job.begin()
    batches = job.data.training(training.batch_size, training.seed, step, **team.part(training.batch_size))
    report = loop.fit(batches, progress if team.is_chief else None)
    if team.is_chief:
        run.save_model(job.model)
    team.of_chief(step)  # Whoever left before it is written would seem to be lost.
    return report


def run_jobs(prepare, configs, out, *, dry_run=False, progress=None, strategy="one", **choices):
    """Trains several models, each into a folder of its own below `out`; looks at all folders before the first begins.

    Args:
        configs: {name of the folder: configuration}.
        out: Folder of the folders.
        dry_run, progress, strategy, choices: As for `run_job`.
    Returns:
        dict: "run", `out`, and "repeats", what `run_job` gave for each.
    """
    require_local(out, OutputError)
    for config in configs.values():
        require_apart(out, inputs_of(config))
        require_divisible(config.training.batch_size, strategy)
    choices_of_all = {"dry_run": dry_run, "progress": progress, "strategy": strategy} | choices
    with contextlib.ExitStack() as stack:
        if join("one" if dry_run else strategy).is_chief:
            for name in configs:
                _require_unused(Path(out) / name, choices)
            stack.enter_context(_writing_in(Path(out), dry_run))
        summaries = [
            run_job(prepare, each, Path(out) / name, foretell=not number, **choices_of_all)
            for number, (name, each) in enumerate(configs.items())
        ]
    summary = {"run": str(out), "repeats": summaries}
    return summary | ({"forecast_of_each": summaries[0].pop("forecast")} if dry_run else {})


def _require_unused(folder, choices):
    """As `require_free`; of a folder in which another process is writing, that is what is told."""
    with exclusive(folder) if folder.is_dir() else contextlib.nullcontext():
        require_free(folder, **choices)


def _has_begun(run):
    """Whether there is something to go on with, which must have been made from the same."""
    return any((run.path / name).exists() for name in (PROVENANCE, CHECKPOINTS, run.model_path.name))


@contextlib.contextmanager
def _writing_in(folder, dry_run):
    """Makes a folder and keeps other processes out of it; a dry run only looks whether it could be."""
    with contextlib.ExitStack() as stack:
        if dry_run:
            _require_writable(folder)
        else:
            with written(f"a run into {folder}"):
                stack.enter_context(alone_in(folder))
        yield


def _require_writable(folder):
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    if nearest == folder:
        with exclusive(folder):
            return
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        reason = f"nothing can be written in {nearest}"
        raise OutputError(f"expected to write a run into {folder}, received: {reason}; choose another --out")
