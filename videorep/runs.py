"""A run's folder: what was decided, what was measured, and the trained model.

config.json        all that was decided
provenance.json    versions and what it was made from, by hash
surprise.json      which errors of prediction are usual; there once somebody asked for surprise
metrics.jsonl      one line per report: step, sequences, seconds, losses; every validation is reported with the losses
checkpoints/       to resume from
events/            for TensorBoard
model.keras        the trained model; there once the run is finished
"""

import contextlib
import dataclasses
import fnmatch
import json
import shutil
from pathlib import Path

import numpy as np

from videorep.config import KINDS
from videorep.config_values import from_dict, read_json, to_dict, to_json
from videorep.errors import ConfigError, OutputError, RunError
from videorep.metrics_file import read_reports
from videorep.storage import TEMPORARY, is_url, replacing, require_local, write_text_durably
from videorep.writing import written

CONFIG, PROVENANCE, METRICS, MODEL = "config.json", "provenance.json", "metrics.jsonl", "model.keras"
SURPRISE = "surprise.json"
CHECKPOINTS, EVENTS, STATE = "checkpoints", "events", "checkpoint"  # the last lies among the checkpoints
RESTORE = "restore the file, or train again"
NAMED = 3  # of the values that differ
# What a run makes in its folder and in those within it; config.json goes last, by being replaced.
OWN = {
    CHECKPOINTS: (STATE, TEMPORARY + STATE, "ckpt-*"),
    EVENTS: ("events.out.tfevents.*",),
    ".": (
        *(MODEL, METRICS, PROVENANCE, SURPRISE, f"{TEMPORARY}*-{SURPRISE}"),
        *(TEMPORARY + name for name in (CONFIG, PROVENANCE, METRICS, MODEL)),
    ),
}


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's folder and its configuration (PretrainConfig, FinetuneConfig or StreamConfig)."""

    path: Path
    config: object

    @property
    def metrics_path(self):
        return self.path / METRICS

    @property
    def checkpoints(self):
        return self.path / CHECKPOINTS

    @property
    def events(self):
        return self.path / EVENTS

    @property
    def model_path(self):
        return self.path / MODEL

    @property
    def finished(self):
        """Whether training came to its end."""
        return self.model_path.is_file()

    @property
    def provenance(self):
        """Versions, and what the run was made from, by hash.

        Raises:
            RunError: provenance.json is missing or damaged.
        """
        return read_json(self.path / PROVENANCE, "what the run was made from", RESTORE)

    def metrics(self):
        """The reports so far, {name: number} each, see `read_reports`."""
        return read_reports(self.metrics_path)

    def require_reports(self):
        """Raises a RunError where `metrics` has no report yet."""
        if not self.metrics():
            remedy = "train again with --overwrite" if self.finished else "train further with --resume"
            raise RunError(
                f"expected at least one report in {self.metrics_path}, received none; {remedy}, until the first report"
            )

    def last_report(self):
        """The last of `metrics`; empty where there is none."""
        return (self.metrics() or [{}])[-1]

    def model(self):
        """The trained Keras model.

        Raises:
            RunError: the run is not finished, its model file is damaged or another model's, or a weight is no number.
        """
        from videorep.models.files import read_model

        self.require_finished()
        model = read_model(self.model_path, self.config.model)
        if unfit := _unfit(model):
            raise RunError(
                f"expected finite weights in {self.model_path}, received NaN or infinity in {unfit} arrays of them; "
                "train again with a lower --learning-rate"
            )
        return model

    def require_finished(self):
        """Raises a RunError where training has not come to its end."""
        if not self.finished:
            raise RunError(
                f"expected a finished run, received {self.path}, which has no {MODEL} yet; finish it by giving its "
                f"training command again with --resume"
            )

    def save_model(self, model):
        """Writes the trained model, whole or not at all.

        Raises:
            RunError: its weights are not finite; nothing was written.
            OutputError: it cannot be written.
        """
        if unfit := _unfit(model):
            raise RunError(
                f"expected a trained model of finite weights, received {unfit} arrays that are not; lower "
                f"--learning-rate and train again"
            )
        with written(self.model_path), replacing(self.model_path) as temporary:
            model.save(temporary)

    def write_provenance(self, provenance):
        text = json.dumps(provenance, indent=2, sort_keys=True) + "\n"
        with written(self.path):
            write_text_durably(self.path / PROVENANCE, text)


def _unfit(model):
    """How many arrays of weights are not finite."""
    return sum(not np.isfinite(weight).all() for weight in model.get_weights())


def is_run(path):
    """Whether a folder of this machine holds a run."""
    return not is_url(path) and (Path(path) / CONFIG).is_file()


def load_run(path):
    """Opens a run's folder.

    Raises:
        RunError: the folder is missing or holds no run.
    """
    path = Path(path)
    if not is_run(path):
        received = "holds no config.json" if path.is_dir() else "is not a folder"
        raise RunError(
            f"expected the folder of a run, received {path}, which {received}; see --out of its training command"
        )
    values = read_json(path / CONFIG, "a run's settings", RESTORE)
    if (kind := values.get("kind")) in ("comparison", "reproduction"):
        raise RunError(f"expected the folder of a run, received {path}, a {kind}; its report.html shows it")
    try:
        return Run(path, from_dict(KINDS[values["kind"]], values, CONFIG))
    except (KeyError, TypeError, ConfigError) as error:
        reason = f": {error}" if isinstance(error, ConfigError) else ", which cannot be read; train again"
        raise RunError(f"expected a run's settings in {path / CONFIG}{reason}") from error


def require_free(path, *, resume=False, overwrite=False):
    """Checks, without writing anything, that a run can go into a folder.

    Returns:
        Whether it holds a run: to go on with, or to overwrite.
    Raises:
        RunError: the folder holds a run and neither option was given, or something else.
        ConfigError: both options.
        OutputError: the folder is a URL, or a link to a folder that would be overwritten.
    """
    if resume and overwrite:
        raise ConfigError("expected --resume or --overwrite, received both; give the one that you mean")
    require_local(path, OutputError)
    path = Path(path)
    if is_run(path):
        if not (resume or overwrite):
            raise RunError(
                f"expected a new folder, received {path}, which holds a run; add --resume to go on with it "
                "or --overwrite to replace it"
            )
        if overwrite and path.is_symlink():
            raise OutputError(
                f"expected a folder to overwrite, received {path}, which is a symbolic link; name {path.resolve()}"
            )
        if linked := [name for name in (CHECKPOINTS, EVENTS) if (path / name).is_symlink()]:
            raise OutputError(
                f"expected folders of its own in the run {path}, received {linked[0]} as a symbolic link, through "
                "which files elsewhere would be written or removed; replace the link by what it names"
            )
        return True
    # What was cut off while config.json was being written is no run yet.
    if path.exists() and (not path.is_dir() or {each.name for each in path.iterdir()} - {TEMPORARY + CONFIG}):
        raise RunError(
            f"expected a new or empty folder, received {path}, which holds something that is not a run; "
            "choose another --out"
        )
    return False


def check_run(path, config, *, resume=False, overwrite=False):
    """Tells whether a run's folder can be made, without writing anything.

    Returns:
        The Run to go on with, or None where one is to be made.
    Raises:
        RunError, ConfigError, OutputError: as `require_free`, or the run to resume has other settings.
    """
    if not require_free(path, resume=resume, overwrite=overwrite) or overwrite:
        return None
    existing = load_run(path)
    require_same(existing.path, "settings", to_dict(existing.config), to_dict(config))
    return existing


def create_run(path, config, *, resume=False, overwrite=False):
    """Makes a run's folder, or opens the one to go on with. Of a run that is overwritten only its own files go.

    Raises:
        RunError, ConfigError, OutputError: as `check_run`, or the folder cannot be made.
    """
    if existing := check_run(path, config, resume=resume, overwrite=overwrite):
        return existing
    path = Path(path)
    with written(path):
        path.mkdir(parents=True, exist_ok=True)
        _remove_own(path)
        write_text_durably(path / CONFIG, to_json(config))
    return Run(path, config)


def _remove_own(path):
    """Removes what a run made in its folder but config.json; whatever else lies there stays."""
    for folder, patterns in OWN.items():
        folder = path / folder
        if not folder.is_dir():
            continue
        for each in sorted(folder.iterdir()):
            if not any(fnmatch.fnmatchcase(each.name, pattern) for pattern in patterns):
                continue
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
        if folder != path:
            with contextlib.suppress(OSError):
                folder.rmdir()


def require_same(path, what, before, now, remedy="give the same command again with --resume"):
    """Raises a RunError where a run to be resumed was begun with other nested values.

    It names a few that differ, hashes first.
    """
    before, now = (_flat(json.loads(json.dumps(values))) for values in (before, now))
    different = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    different.sort(key=lambda key: "sha256" not in key)
    if different:
        begun, received = (
            ", ".join(f"{key} = {values.get(key)!r}" for key in different[:NAMED]) for values in (before, now)
        )
        raise RunError(
            f"expected the {what} with which {path} was begun ({begun}), received {received}; {remedy}, or choose "
            "another --out"
        )


def _flat(values, prefix=""):
    flat = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat
