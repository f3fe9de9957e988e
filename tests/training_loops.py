"""Small loops of training for the tests, and what may happen to them."""

import contextlib
import signal

import numpy as np
import tensorflow as tf

from videorep.config import ModelConfig, PretrainConfig, PretrainTrainingConfig
from videorep.models import build_model
from videorep.runs import create_run
from videorep.training.loop import TrainingLoop
from videorep.training.objectives import encoder_decoder_objective

TRAINING = PretrainTrainingConfig(
    steps=20, batch_size=4, learning_rate=1e-2, warmup_steps=3, report_every=5, checkpoint_every=7, seed=1
)


def sequences(start, features=6, frames=5):
    """Endless batches; batch k depends on k alone."""

    def generate():
        step = start
        while True:
            rng = np.random.default_rng(step)
            base = rng.integers(0, 2, (4, 1, features), dtype="uint8") * 255
            yield {"frames": np.repeat(base, frames, axis=1)}
            step += 1

    spec = {"frames": tf.TensorSpec((4, frames, features), tf.uint8)}
    return tf.data.Dataset.from_generator(generate, output_signature=spec)


def make_loop(folder, training=TRAINING, **options):
    config = PretrainConfig(model=ModelConfig("composite", 6, (5,), 3, 2, output="bernoulli"), training=training)
    run = create_run(folder, config, resume=True)
    model = build_model("composite", 6, (5,), 3, 2, seed=1, dtype=training.precision)
    return TrainingLoop(model, encoder_decoder_objective(model), training, run, **options)


def weights(loop):
    return [np.asarray(weight) for weight in loop.model.get_weights()]


def figures(loop):
    """The lines of metrics.jsonl without the time they took."""
    return [{name: value for name, value in line.items() if name != "seconds"} for line in loop.run.metrics()]


@contextlib.contextmanager
def handling(number, handler):
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


class Signalling:
    """A reporter that sends this process signals once `after` steps were made."""

    def __init__(self, after, *numbers):
        self.left, self.numbers = after, numbers

    @contextlib.contextmanager
    def task(self, *_, **__):
        def advance(count=1, note=""):
            self.left -= count
            if self.left == 0:
                for number in self.numbers:
                    signal.raise_signal(number)

        yield advance


def untrained(loop, losses):
    """The loop with steps that do nothing but give the losses."""
    given = iter(losses)
    loop.train_step = lambda batch: {"loss": tf.constant(next(given))}
    return loop
