"""Keras callbacks that keep a run's figures: as lines of JSON and as TensorBoard events."""

import json

import keras
import tensorflow as tf


class MetricsLog(keras.callbacks.Callback):
    """Appends one JSON line per report to metrics.jsonl; first drops the lines after the step resumed from."""

    def __init__(self, path, step):
        super().__init__()
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if _step_of(line) <= step]
        path.write_text("".join(line + "\n" for line in kept))

    def on_epoch_end(self, epoch, logs=None):
        with open(self.path, "a") as file:
            file.write(json.dumps(logs) + "\n")


class EventLog(keras.callbacks.Callback):
    """Writes every report's figures as TensorBoard scalars, by step."""

    def __init__(self, folder, step):
        super().__init__()
        self.writer = tf.summary.create_file_writer(folder, filename_suffix=f".from-{step}")

    def on_epoch_end(self, epoch, logs=None):
        with self.writer.as_default(step=epoch):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
        self.writer.flush()

    def on_train_end(self, logs=None):
        self.writer.close()


def _step_of(line):
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):
        return float("inf")
