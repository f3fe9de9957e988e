"""Keras callbacks that keep a run's figures: as lines of JSON and as TensorBoard events."""

import warnings

import keras
import numpy as np
import tensorflow as tf

from videorep.errors import VideorepWarning
from videorep.metrics_file import STEP, parse_line, read_lines, to_line
from videorep.storage import write_text_durably
from videorep.writing import written


class MetricsLog(keras.callbacks.Callback):
    """Appends one JSON line per report to metrics.jsonl, which is read once, when this is made.

    `reports` are those that lay there, and while training goes on the first and the last.

    Raises:
        RunError, OutputError: the file cannot be read or written; what is there stays.
    """

    def __init__(self, path):
        super().__init__()
        lines = read_lines(path)
        self.path, self.reports = path, [report for report in lines if report]
        self._garbled = len(lines) - len(self.reports)

    def go_on_from(self, step):
        """Drops what is no sound line of a step up to this one."""
        if self._garbled:
            what = f"{self._garbled} lines of {self.path} are no reports and are dropped"
            warnings.warn(f"{what}; the figures of their steps are lost", VideorepWarning, stacklevel=2)
        self.reports = [report for report in self.reports if report[STEP] <= step]
        with written(f"metrics into {self.path}"):
            write_text_durably(self.path, "".join(map(to_line, self.reports)))
        self._keep(self.reports)

    def on_epoch_end(self, epoch, logs=None):
        with written(f"metrics into {self.path}"), open(self.path, "a") as file:
            file.write(line := to_line(logs))
        self._keep([*self.reports, parse_line(line.encode())])

    def _keep(self, reports):
        self.reports = reports[:1] + reports[1:][-1:]


class EventLog(keras.callbacks.Callback):
    """Writes every report's figures as TensorBoard scalars, by step; to be closed.

    Raises:
        OutputError: the events cannot be written.
    """

    def __init__(self, folder, step):
        super().__init__()
        self.folder = folder
        with written(f"events into {folder}"):
            self.writer = tf.summary.create_file_writer(str(folder), filename_suffix=f".from-{step}")

    def on_epoch_end(self, epoch, logs=None):
        with written(f"events into {self.folder}"):
            # of every Python number that TensorFlow is given it keeps a tensor, of arrays none
            with self.writer.as_default(step=np.asarray(epoch)):
                for name, value in logs.items():
                    tf.summary.scalar(name, np.asarray(value))
            self.writer.flush()

    def close(self):
        """Closes the file, also after Ctrl-C or an error."""
        with written(f"events into {self.folder}"):
            self.writer.close()
