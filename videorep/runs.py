"""A run's folder: what was decided, what was measured, and the trained model.

config.json        all that was decided
provenance.json    versions and the data it saw, by hash
metrics.jsonl      one line per report: step, sequences, seconds, losses; every validation is reported with the losses
checkpoints/       to resume from
events/            for TensorBoard
model.keras        the trained model; there once the run is finished
"""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np

from videorep.config import KINDS, from_dict, to_dict, to_json
from videorep.errors import ConfigError, OutputError, RunError
from videorep.reports import read_reports
from videorep.storage import require_local

CONFIG, PROVENANCE, METRICS, MODEL = "config.json", "provenance.json", "metrics.jsonl", "model.keras"


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's folder and its configuration (PretrainConfig or FinetuneConfig)."""

    path: Path
    config: object

    @property
    def metrics_path(self):
        return self.path / METRICS

    @property
    def checkpoints(self):
        return self.path / "checkpoints"

    @property
    def events(self):
        return self.path / "events"

    @property
    def finished(self):
        """Whether training came to its end."""
        return (self.path / MODEL).is_file()

    @property
    def provenance(self):
        """Versions and the data that the run saw."""
        return json.loads((self.path / PROVENANCE).read_text())

    def metrics(self):
        """The reports so far, {name: number} each, see `read_reports`."""
        return read_reports(self.metrics_path)

    def last_report(self):
        """The last of `metrics`; empty where there is none."""
        return (self.metrics() or [{}])[-1]

    def model(self):
        """The trained Keras model.

        Raises:
            RunError: the run is not finished, its model file is damaged, or a weight is NaN or infinite.
        """
        import keras

        import videorep.models  # noqa: F401 (registers the classes that the file names)

        self.require_finished()
        try:
            model = keras.saving.load_model(self.path / MODEL, compile=False)
        except (OSError, ValueError, KeyError) as error:
            raise RunError(
                f"expected a Keras model in {self.path / MODEL}, which cannot be read; train again"
            ) from error
        return self._require_finite(model)

    def _require_finite(self, model):
        import numpy as np

        flawed = [weight.path for weight in model.weights if not np.isfinite(np.asarray(weight, np.float32)).all()]
        if flawed:
            raise RunError(
                f"expected finite weights in {self.path / MODEL}, received NaN or infinity in {len(flawed)} of "
                f"{len(model.weights)} ({flawed[0]}); train again with a lower --learning-rate"
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
        """Writes the trained model under a temporary name, then renames it.

        Raises:
            RunError: its weights are not finite; nothing was written.
            OutputError: it cannot be written.
        """
        unfit = sum(not np.isfinite(weight).all() for weight in model.get_weights())
        if unfit:
            raise RunError(
                f"expected a trained model of finite weights, received {unfit} arrays that are not; lower "
                f"--learning-rate and train again"
            )
        temporary = self.path / f"unfinished-{MODEL}"
        try:
            model.save(temporary)
            temporary.rename(self.path / MODEL)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OutputError(
                f"expected to write {self.path / MODEL}, received: {error.strerror or error}; free some space there "
                f"and give the same command again with --resume"
            ) from error

    def write_provenance(self, provenance):
        write_atomically(self.path / PROVENANCE, json.dumps(provenance, indent=2, sort_keys=True) + "\n")


def write_atomically(path, text):
    """Writes a text file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.unfinished")
    temporary.write_text(text)
    temporary.rename(path)


def load_run(path):
    """Opens a run's folder.

    Raises:
        RunError: the folder is missing or holds no run.
    """
    path = Path(path)
    if not (path / CONFIG).is_file():
        received = "holds no config.json" if path.is_dir() else "is not a folder"
        raise RunError(
            f"expected the folder of a run, received {path}, which {received}; see --out of its training command"
        )
    try:
        values = json.loads((path / CONFIG).read_text())
        cls = KINDS[values["kind"]]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"expected a run's settings in {path / CONFIG}, which cannot be read; train again") from error
    return Run(path, from_dict(cls, values, "config.json"))


def check_run(path, config, *, resume=False, overwrite=False):
    """Tells whether a run's folder can be made, without writing anything.

    Returns:
        The Run to go on with, or None where one is to be made.
    Raises:
        RunError: the folder holds a run, of other settings where `resume`; or something else.
        ConfigError: both `resume` and `overwrite`.
        OutputError: the folder is a URL.
    """
    if resume and overwrite:
        raise ConfigError("expected --resume or --overwrite, received both; give the one that you mean")
    require_local(path, OutputError)
    path = Path(path)
    if (path / CONFIG).is_file():
        if resume:
            existing = load_run(path)
            _require_same(path, existing.config, config)
            return existing
        if not overwrite:
            raise RunError(
                f"expected a new folder, received {path}, which holds a run; add --resume to go on with it "
                "or --overwrite to replace it"
            )
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(
            f"expected a new or empty folder, received {path}, which holds something that is not a run; "
            "choose another --out"
        )
    return None


def create_run(path, config, *, resume=False, overwrite=False):
    """Makes a run's folder, or opens the one to go on with.

    Raises:
        RunError, ConfigError, OutputError: as `check_run`, or the folder cannot be made.
    """
    if existing := check_run(path, config, resume=resume, overwrite=overwrite):
        return existing
    path = Path(path)
    try:
        if (path / CONFIG).is_file():
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / CONFIG, to_json(config))
    except OSError as error:
        raise OutputError(
            f"expected to write a run into {path}, received: {error.strerror or error}; choose another --out"
        ) from error
    return Run(path, config)


def _require_same(path, existing, wanted):
    before, now = _flat(to_dict(existing)), _flat(json.loads(to_json(wanted)))
    before = _flat(json.loads(json.dumps(before)))
    different = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if different:
        key = different[0]
        raise RunError(
            f"expected the settings with which {path} was begun ({key} = {before.get(key)!r}), received {key} = "
            f"{now.get(key)!r}; give the same command again with --resume, or choose another --out"
        )


def _flat(values, prefix=""):
    flat = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat
