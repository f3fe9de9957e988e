"""The training loop: compiled steps on one device or on a team of them, Keras callbacks, checkpoints.

Keras' `fit` fails under MultiWorkerMirroredStrategy, so the loop is the project's own. Between callbacks' "epochs"
lie `report_every` steps; losses stay on the device until then.
"""

import contextlib
import dataclasses
import functools
import time
import warnings
from collections.abc import Callable

import keras
import tensorflow as tf

from videorep.data.python_functions import readable
from videorep.errors import ConfigError, RunError, VideorepWarning
from videorep.metrics_file import STEP, describe_rise
from videorep.progress import SilentProgress
from videorep.training.callbacks import EventLog, MetricsLog
from videorep.training.checkpoints import Checkpoints, Position
from videorep.training.early_stopping import EarlyStopping
from videorep.training.gradients import before_cast, global_norm
from videorep.training.interruption import deferred_interruption
from videorep.training.optimizers import build_optimizer
from videorep.training.team import LOST, Team, join


@dataclasses.dataclass
class TrainingLoop:
    """Trains a model for `config.steps` steps and leaves metrics, events and checkpoints in a run's folder.

    Ctrl-C, SIGTERM and SIGHUP end it after a whole step and a checkpoint. Going on from any checkpoint gives the same
    weights and the same figures as if nothing had happened.

    Args:
        model: Keras model.
        objective: Function of a batch and `training` that gives the loss (B,) and its parts, as those in
            `videorep.training.objectives`.
        config: TrainingConfig.
        run: Run, whose folder receives metrics, events and checkpoints.
        evaluate: Function without arguments that gives a dict of validation figures, or None; its "loss" decides where
            the configuration has `patience`.
        slow: Variables of the model that take only the share `slow_rate` of every step.
        callbacks: More Keras callbacks.
        team: Team under whose strategy the model was made; its chief alone writes, and validates. None: one device.
    """

    model: keras.Model
    objective: Callable
    config: object
    run: object
    evaluate: Callable | None = None
    slow: tuple = ()
    slow_rate: float = 1.0
    callbacks: tuple = ()
    team: Team | None = None

    def __post_init__(self):
        self.team = self.team or join("one")
        with self.team.strategy.scope():
            self.optimizer = build_optimizer(self.config, self._is_distributed)
            self.optimizer.build(self.model.trainable_variables)
            # By position: Keras' object graph leaves the states of random generators (dropout) out.
            variables = [variable.value for variable in (*self.model.variables, *self.optimizer.variables)]
            patience = self.config.patience
            self._stopping = EarlyStopping(self.model, patience) if patience and self.evaluate else None
            variables += self._stopping.variables if self._stopping else []
        # Its text is no variable of the strategy, whose workers cannot send one another any.
        self.checkpoints = Checkpoints(self.run.checkpoints, variables, self.config.steps, self.team.is_chief)
        self.position = Position()
        self.model.optimizer = self.optimizer
        # One pass over weights, gradients and moments instead of one per operation of the optimizer.
        apply = self._apply_gradients
        self._apply = apply if self._is_distributed else tf.function(apply, jit_compile=True)
        self.train_step = tf.function(lambda batch: self.team.run(self._replica_step, batch))

    @property
    def _is_distributed(self):
        return self.team.replicas > 1

    @functools.cached_property
    def _metrics(self):
        return MetricsLog(self.run.metrics_path)

    @property
    def _is_over(self):
        return self._stopping is not None and self._stopping.is_over

    def restore(self):
        """Goes back to the last checkpoint that can be read, and warns where that is not the last.

        Returns:
            The step it was taken after; 0: there is none.
        Raises:
            RunError: no checkpoint can be read, one is of other settings, or all are gone.
        """
        if not self.team.is_chief:
            self.position = Position(int(self.team.of_chief(0)))
            return self.position.step
        self.position = self.checkpoints.restore()
        reported = max((report[STEP] for report in self._metrics.reports), default=0)
        if not self.position.step and reported > self.config.checkpoint_every:
            raise RunError(
                f"expected checkpoints in {self.run.checkpoints}, received none though {self.run.metrics_path} has "
                f"reports up to step {reported:.0f}; restore the folder, or train again with --overwrite"
            )
        return int(self.team.of_chief(self.position.step))

    def fit(self, batches, progress=None):
        """Trains from the present step to the last; warns where the loss rose.

        Args:
            batches: Endless tf.data of batches, of this worker's part of them, beginning with that of the present step.
            progress: Reporter, see `videorep.progress`.
        Returns:
            The last report's figures; none on another worker than the chief.
        Raises:
            RunError: a loss or a weight is no longer a number, or another worker was told to stop; the last sound
                checkpoint is kept.
            OutputError: metrics, events or checkpoints cannot be written.
        """
        step = self.position.step
        self.team.copy_of_chief(self.checkpoints.variables)
        self.team.part_seeds(self.model)
        with contextlib.ExitStack() as stack:
            logs = self._open_logs(stack) if self.team.is_chief else ()
            callbacks = keras.callbacks.CallbackList([*logs, *self.callbacks], model=self.model)
            self.model.stop_training = False
            callbacks.on_train_begin()
            title, reporter = f"Training {self.model.name}", progress or SilentProgress()
            with reporter.task(title, total=self.config.steps, unit="steps", done=step) as advance:
                batches = readable(self.team.distribute(batches, self.config.batch_size))
                with deferred_interruption() as interrupted:
                    stopped = self._run_steps(batches, callbacks, advance, interrupted)
                if stopped:
                    raise RunError(
                        f"expected all {self.team.count} workers to go on, received: another one was told to stop by "
                        f"step {self.position.step}, which is kept; give the same command with --resume to any number "
                        "of workers"
                    )
            if self._stopping:
                self._stopping.restore()
            callbacks.on_train_end()
        if not self.team.is_chief:
            return {}
        if sentence := describe_rise(self._metrics.reports):
            warnings.warn(sentence, VideorepWarning, stacklevel=2)
        return (self._metrics.reports or [{}])[-1]

    def _open_logs(self, stack):
        self._metrics.go_on_from(self.position.step)
        return self._metrics, stack.enter_context(contextlib.closing(EventLog(self.run.events, self.position.step)))

    def _run_steps(self, batches, callbacks, advance, interrupted):
        config, position, note, stopped = self.config, self.position, "", False
        saved, begun = position.step, time.monotonic() - position.seconds
        while position.step < config.steps and not self._is_over and not self.model.stop_training:
            try:
                if stopped := self.team.any(interrupted):
                    break
                parts = self.train_step(next(batches))
            except LOST:
                # Weights change only once all gradients have arrived: they are those of the last whole step.
                if position.step > saved:
                    self._save(begun)
                raise
            totals = {name: position.totals.get(name, 0.0) + value for name, value in parts.items()}
            step, last = position.step + 1, position.step + 1 == config.steps
            position = Position(step, time.monotonic() - begun, totals, position.count + 1)
            evaluates = self.evaluate and config.evaluate_every and (last or step % config.evaluate_every == 0)
            logs = None
            if last or evaluates or step % config.report_every == 0:
                logs = self._report(position)
                note = f"loss {logs['loss']:.4g}"
                position = Position(step, position.seconds)
            advance(1, note=note)
            if evaluates:
                figures = self.evaluate() if self.team.is_chief else {}
                logs |= {f"validation_{name}": value for name, value in figures.items()}
                if self._stopping:
                    self._stopping.look(self.team.of_chief(figures.get("loss", 0.0)))
            if logs:
                callbacks.on_epoch_end(step, logs)
            self.position = position
            if last or self._is_over or step % config.checkpoint_every == 0:
                self._save(begun)
                saved = step
        if stopped and position.step > saved:
            self._save(begun)
        return stopped

    def _report(self, position):
        logs = {name: float(total) / position.count for name, total in position.totals.items()}
        self.checkpoints.require_finite(logs, position.step)
        return logs | {
            "step": position.step,
            "sequences": position.step * self.config.batch_size,
            "seconds": position.seconds,
            "learning_rate": float(self.optimizer.learning_rate),
        }

    def _save(self, begun):
        self.position.seconds = time.monotonic() - begun
        self.checkpoints.save(self.position)

    def _replica_step(self, batch):
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            losses, parts = self.objective(batch)
            loss = tf.reduce_sum(losses) / self.config.batch_size
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in variables])
        parts = {name: tf.reduce_sum(part) / self.config.batch_size for name, part in parts.items()}
        figures = {"loss": loss} | parts
        if self._is_distributed:
            gradients, figures = self.team.add_up((gradients, figures))
        else:
            gradients = [before_cast(gradient) for gradient in gradients]
        limit = self.optimizer.scale_loss(self.config.clip_norm)
        with tf.control_dependencies(list(figures.values())):  # Nothing can fail once weights begin to change.
            self._apply(gradients, limit / tf.maximum(global_norm(gradients), limit))
        return figures

    def _apply_gradients(self, gradients, factor):
        clipped = [factor * tf.cast(gradient, "float32") for gradient in gradients]
        before = [variable.value + 0.0 for variable in self.slow]
        self.optimizer.apply(clipped, self.model.trainable_variables)
        for variable, value in zip(self.slow, before, strict=True):
            variable.assign(value + self.slow_rate * (variable - value))


def make_validation(objective, batches):
    """A function that gives an objective's figures over finite batches, for `TrainingLoop`; compiled once."""
    compiled = tf.function(lambda batch: objective(batch, training=False), reduce_retracing=True)
    return lambda: evaluate_objective(compiled, batches)


def evaluate_objective(objective, batches):
    """Means of an objective's loss and parts over finite batches.

    Args:
        objective: Function of a batch that gives the loss (B,) and its parts. Who evaluates again and again compiles it
            once: TensorFlow never lets go of all that a compiled function held.
        batches: Finite tf.data.
    Returns:
        {name: mean over all examples}.
    """
    sums, count = {}, 0
    for batch in batches:
        losses, parts = objective(batch)
        for name, values in {"loss": losses, **parts}.items():
            sums[name] = sums.get(name, 0.0) + float(tf.reduce_sum(values))
        count += int(losses.shape[0])
    if count == 0:
        raise ConfigError(
            "expected at least one sequence to evaluate on, received none; build a larger evaluation split"
        )
    return {name: value / count for name, value in sums.items()}
