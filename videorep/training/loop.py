"""The training loop: compiled steps under a distribution strategy, Keras callbacks, checkpoints.

Keras' `fit` fails under MultiWorkerMirroredStrategy, so the loop is the project's own. Between callbacks' "epochs"
lie `report_every` steps; losses stay on the device until then.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from videorep.data.python_functions import readable
from videorep.errors import ConfigError, OutputError, RunError
from videorep.progress import SilentProgress
from videorep.training.callbacks import EventLog, MetricsLog
from videorep.training.gradients import before_cast, global_norm
from videorep.training.interruption import deferred_interruption
from videorep.training.optimizers import build_optimizer


@dataclasses.dataclass
class TrainingLoop:
    """Trains a model for `config.steps` steps and leaves metrics, events and checkpoints in a run's folder.

    Ctrl-C and SIGTERM end it after a whole step and a checkpoint. Going on from any checkpoint gives the same weights
    and the same figures as if nothing had happened.

    Args:
        model: Keras model.
        objective: Function of a batch and `training` that gives the loss (B,) and its parts, as those in
            `videorep.training.objectives`.
        config: TrainingConfig.
        run: Run, whose folder receives metrics, events and checkpoints.
        evaluate: Function without arguments that gives a dict of validation figures, or None.
        callbacks: More Keras callbacks.
        strategy: tf.distribute strategy under which model and loop were made; the default one where None.
    """

    model: keras.Model
    objective: Callable
    config: object
    run: object
    evaluate: Callable | None = None
    callbacks: tuple = ()
    strategy: object = None

    def __post_init__(self):
        self.strategy = self.strategy or tf.distribute.get_strategy()
        with self.strategy.scope():
            self.optimizer = build_optimizer(self.config)
            self.optimizer.build(self.model.trainable_variables)
            self.step = tf.Variable(0, dtype=tf.int64)
            self.seconds = tf.Variable(0.0, dtype=tf.float64)
            # What was summed since the last report, {name: total}, and over how many steps, as JSON.
            self.unreported = tf.Variable(json.dumps([{}, 0]))
        self.model.optimizer = self.optimizer
        # By position: Keras' object graph leaves the states of random generators (dropout) out.
        variables = [variable.value for variable in (*self.model.variables, *self.optimizer.variables)]
        self.checkpoint = tf.train.Checkpoint(
            variables=variables, step=self.step, seconds=self.seconds, unreported=self.unreported
        )
        self.manager = tf.train.CheckpointManager(self.checkpoint, str(self.run.checkpoints), max_to_keep=2)
        # One pass over weights, gradients and moments instead of one per operation of the optimizer.
        self._apply = tf.function(self._apply_gradients, jit_compile=not self._is_distributed)
        self.train_step = tf.function(lambda batch: self._reduce(self.strategy.run(self._replica_step, args=(batch,))))

    @property
    def _is_distributed(self):
        return self.strategy.num_replicas_in_sync > 1

    def restore(self):
        """Goes back to the last checkpoint; returns the step it was taken after (0: there is none)."""
        if self.manager.latest_checkpoint:
            try:
                self.checkpoint.restore(self.manager.latest_checkpoint).assert_existing_objects_matched()
            except (tf.errors.OpError, AssertionError, ValueError) as error:
                raise RunError(
                    f"expected a readable checkpoint, received {self.manager.latest_checkpoint}, which is damaged; "
                    f"remove it, or train again with --overwrite"
                ) from error
        return int(self.step)

    def fit(self, batches, progress=None):
        """Trains from the present step to the last.

        Args:
            batches: Endless tf.data of batches, beginning with the one of the present step.
            progress: Reporter, see `videorep.progress`.
        Returns:
            The last report's figures.
        Raises:
            RunError: the loss is no longer a number; the last good checkpoint is kept.
            OutputError: metrics or checkpoints cannot be written.
        """
        callbacks = keras.callbacks.CallbackList(
            [
                MetricsLog(self.run.metrics_path, int(self.step)),
                EventLog(str(self.run.events), int(self.step)),
                *self.callbacks,
            ],
            model=self.model,
        )
        self.model.stop_training = False
        title = f"Training {self.model.name}"
        reporter = progress or SilentProgress()
        callbacks.on_train_begin()
        with reporter.task(title, total=self.config.steps, unit="steps", done=int(self.step)) as advance:
            batches = readable(self.strategy.experimental_distribute_dataset(batches))
            with deferred_interruption() as interrupted:
                logs = self._run_steps(batches, callbacks, advance, interrupted)
        callbacks.on_train_end(logs)
        return logs

    def _run_steps(self, batches, callbacks, advance, interrupted):
        config, logs = self.config, {}
        step = saved = int(self.step)
        begun = time.monotonic() - float(self.seconds)
        totals, count = json.loads(self.unreported.numpy())
        while step < config.steps and not self.model.stop_training and not interrupted:
            parts = self.train_step(next(batches))
            totals = {name: totals.get(name, 0.0) + value for name, value in parts.items()}
            step, count = step + 1, count + 1
            last = step == config.steps
            is_report = last or step % config.report_every == 0
            if is_report:
                logs = {name: float(value) / count for name, value in totals.items()}
                self._require_finite(logs, step)
                logs |= {"step": step, "sequences": step * config.batch_size}
                logs["seconds"] = time.monotonic() - begun
                logs["learning_rate"] = float(self.optimizer.learning_rate)
                totals, count = {}, 0
            advance(1, note=f"loss {logs['loss']:.4g}" if logs else "")
            if self.evaluate and config.evaluate_every and (step % config.evaluate_every == 0 or last):
                logs |= {f"validation_{name}": value for name, value in self.evaluate().items()}
            if is_report:
                callbacks.on_epoch_end(step, dict(logs))
            if step % config.checkpoint_every == 0 or last:
                self._save(step, time.monotonic() - begun, totals, count)
                saved = step
        if interrupted and step > saved:
            self._save(step, time.monotonic() - begun, totals, count)
        return logs

    def _save(self, step, seconds, totals, count):
        self.step.assign(step)
        self.seconds.assign(seconds)
        self.unreported.assign(json.dumps([{name: float(value) for name, value in totals.items()}, count]))
        try:
            self.manager.save(checkpoint_number=step)
        except tf.errors.OpError as error:
            # TensorFlow's message: the operation and its inputs, "; " and the reason, the operation again.
            reason = error.message.split("; ")[-1].split(" [Op:")[0]
            raise OutputError(
                f"expected to write a checkpoint into {self.run.checkpoints}, received: {reason}; "
                f"free some space there and give the same command again with --resume"
            ) from error

    def _require_finite(self, logs, step):
        if not math.isfinite(logs["loss"]):
            raise RunError(
                f"expected a finite loss, received {logs['loss']} by step {step}; lower --learning-rate "
                f"and train again (the last good checkpoint is in {self.run.checkpoints})"
            )

    def _replica_step(self, batch):
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            losses, parts = self.objective(batch)
            loss = tf.reduce_sum(losses) / self.config.batch_size
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in variables])
        if not self._is_distributed:  # There the replicas' gradients are yet to be added up, in float32.
            gradients = [before_cast(gradient) for gradient in gradients]
        limit = self.optimizer.scale_loss(self.config.clip_norm)
        self._apply(gradients, limit / tf.maximum(global_norm(gradients), limit))
        return {"loss": loss} | {name: tf.reduce_sum(part) / self.config.batch_size for name, part in parts.items()}

    def _apply_gradients(self, gradients, factor):
        clipped = [factor * tf.cast(gradient, "float32") for gradient in gradients]
        self.optimizer.apply(clipped, self.model.trainable_variables)

    def _reduce(self, per_replica):
        return {
            name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in per_replica.items()
        }


def evaluate_objective(objective, batches):
    """Means of an objective's loss and parts over finite batches.

    Args:
        objective: As for `TrainingLoop`.
        batches: Finite tf.data.
    Returns:
        {name: mean over all examples}.
    """
    compiled = tf.function(lambda batch: objective(batch, training=False), reduce_retracing=True)
    sums, count = {}, 0
    for batch in batches:
        losses, parts = compiled(batch)
        for name, values in {"loss": losses, **parts}.items():
            sums[name] = sums.get(name, 0.0) + float(tf.reduce_sum(values))
        count += int(losses.shape[0])
    if count == 0:
        raise ConfigError(
            "expected at least one sequence to evaluate on, received none; build a larger evaluation split"
        )
    return {name: value / count for name, value in sums.items()}
