"""Keras callbacks that keep a run's figures: as lines of JSON and as TensorBoard events."""

import warnings

import keras
import tensorflow as tf

from videorep.errors import VideorepWarning
from videorep.reports import STEP, read_reports, to_line
from videorep.storage import write_text_durably
from videorep.training.writing import written


class MetricsLog(keras.callbacks.Callback):
    """Appends one JSON line per report to metrics.jsonl; first drops what is no sound line of a step up to `step`.

    Raises:
        OutputError: the file cannot be written; what is there stays.
    """

    def __init__(self, path, step):
        super().__init__()
        self.path = path
        reports = read_reports(path)
        kept = "".join(to_line(report) for report in reports if report[STEP] <= step)
        garbled = path.read_bytes().count(b"\n") - len(reports) if path.is_file() else 0
        if garbled:
            sentence = f"{garbled} lines of {path} are no reports and are dropped; the figures of their steps are lost"
            warnings.warn(sentence, VideorepWarning, stacklevel=2)
        with written("metrics", path):
            if not path.is_file() or path.read_bytes() != kept.encode():
                write_text_durably(path, kept)

    def on_epoch_end(self, epoch, logs=None):
        with written("metrics", self.path), open(self.path, "a") as file:
            file.write(to_line(logs))


class EventLog(keras.callbacks.Callback):
    """Writes every report's figures as TensorBoard scalars, by step; to be closed.

    Raises:
        OutputError: the events cannot be written.
    """

    def __init__(self, folder, step):
        super().__init__()
        self.folder = folder
        with written("events", folder):
            self.writer = tf.summary.create_file_writer(str(folder), filename_suffix=f".from-{step}")

    def on_epoch_end(self, epoch, logs=None):
        with written("events", self.folder):
            with self.writer.as_default(step=epoch):
                for name, value in logs.items():
                    tf.summary.scalar(name, value)
            self.writer.flush()

    def close(self):
        """Closes the file, also after Ctrl-C or an error."""
        with written("events", self.folder):
            self.writer.close()
