"""Contenders with an LSTM: one model and one compiled step for all their trainings."""

import dataclasses
import functools
import itertools
import time

import keras
import numpy as np
import tensorflow as tf

from videorep.comparison.linear import Linear
from videorep.comparison_config import CompareConfig
from videorep.config import SOFTMAX_STARTS, ClassifierConfig
from videorep.data.sampling import make_generator
from videorep.models import build_classifier
from videorep.models.averaging import average_steps
from videorep.models.linear_probe import average_states, start_softmax, state_reader

BATCH, EVALUATION_BATCH = 32, 128
STEPS = CompareConfig.steps
MEASURED = 5  # steps and videos of which a dry run reckons the rest
CHOICES = {
    "learning_rate": (1e-3, 3e-3),
    "dropout": (0.5, 0.0),
    "weight_decay": (1e-2, 0.0),
    "encoder_rate": (0.1, 1.0),
    "softmax": SOFTMAX_STARTS,
}


@dataclasses.dataclass
class Recurrent:
    """The LSTM classifier of the paper's section 3.3, all weights trained.

    Args:
        videos: LabelledVideos.
        shape: ClassifierConfig.
        encoder: EncoderDecoder that it starts from, or None for random weights.
        precision: Keras dtype policy.
        steps: After which the test videos are classified.
        softmax: How it starts, as `FinetuneConfig.softmax`: what may be tried.
    """

    videos: object
    shape: ClassifierConfig
    encoder: object = None
    precision: str = "float32"
    steps: tuple = STEPS
    softmax: tuple = SOFTMAX_STARTS

    def trials(self, generator, count):
        """At most `count` settings to try, in an order that the generator decides; the usual ones first."""
        choices = CHOICES | {"softmax": self.softmax}
        if self.encoder is None:  # there is nothing to keep, or to start from
            choices |= {"encoder_rate": (1.0,), "softmax": self.softmax[::-1]}
        usual, *others = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
        return [usual, *(others[number] for number in generator.permutation(len(others)))][:count]

    def fit(self, train, test, trial, seed):
        """As `Linear.fit`; yields after each number of `steps`."""
        trainer = self._trainer(trial["dropout"])
        trainer.begin(trial, seed, train)
        done = 0
        for steps in self.steps:
            trainer.train(train, done, steps, seed)
            done = steps
            yield {"steps": steps}, trainer.classify(test)

    def seconds(self, train, test):
        """About what `fit` takes, by some of its steps and of the test videos."""
        trainer, few, times = self._trainer(0.0), test[:MEASURED], []
        works = (
            lambda: trainer.begin({name: values[0] for name, values in CHOICES.items()}, 0, train),
            lambda: trainer.train(train, 0, MEASURED, 0),
            lambda: trainer.classify(few),
        )
        for work in works * 2:  # the first time compiles
            began = time.monotonic()
            work()
            times.append(time.monotonic() - began)
        fresh, steps, classification = times[3:]
        return fresh + self.steps[-1] * steps / MEASURED + len(self.steps) * classification * len(test) / len(few)

    @functools.cached_property
    def _trainers(self):
        return {}

    def _trainer(self, dropout):
        if dropout not in self._trainers:
            shape = dataclasses.replace(self.shape, dropout=dropout)
            self._trainers[dropout] = _Trainer(self.videos, shape, self.encoder, self.precision)
        return self._trainers[dropout]


class _Trainer:
    """A classifier that is trained again and again from its first weights."""

    def __init__(self, videos, shape, encoder, precision):
        self._videos = videos
        self._rows, self._owner = videos.blocks(*shape.block)
        padding = np.zeros((1, videos.frames.shape[1]), np.float32)
        self._frames = tf.constant(np.concatenate([videos.frames, padding]))
        self._labels = tf.constant(videos.labels[self._owner])
        self._shape, self._encoder, self._precision = shape, encoder, precision
        self._model = model = build_classifier(shape, encoder, seed=0, dtype=precision)
        if shape.standardise and encoder is None:
            learnt = videos.frames[: videos.spans()[len(videos.training)]]
            model.standardisation.assign(
                learnt.mean(0, dtype=np.float64), np.maximum(learnt.std(0, dtype=np.float64), 1e-3)
            )
        lstms = [variable for lstm in model.lstms for variable in lstm.trainable_variables]
        head = [variable for variable in model.trainable_variables if all(variable is not each for each in lstms)]
        self._groups = [(lstms, keras.optimizers.Adam()), (head, keras.optimizers.Adam())]
        for variables, optimizer in self._groups:
            optimizer.build(variables)
        self._decay = tf.Variable(0.0)
        self._step = tf.function(self._train_step, reduce_retracing=True)
        self._probabilities = tf.function(self._classify_blocks)
        self._states, self._read_states = tf.function(self._average_states), state_reader(model)

    def begin(self, trial, seed, videos):
        """Back to the first weights, other random ones for every seed; a trial's rates and start of the softmax."""
        fresh = build_classifier(self._shape, self._encoder, seed=seed, dtype=self._precision)
        kept = {id(variable) for variable in self._model.non_trainable_weights}  # what standardises
        for variable, value in zip(self._model.variables, fresh.variables, strict=True):
            if id(variable) not in kept:  # weights, and the states of dropout's generators
                variable.assign(value)
        for (_, optimizer), factor in zip(self._groups, (trial["encoder_rate"], 1.0), strict=True):
            for variable in optimizer.variables:
                variable.assign(keras.ops.zeros_like(variable))
            optimizer.learning_rate = trial["learning_rate"] * factor
        self._decay.assign(trial["weight_decay"])
        if trial["softmax"] == "regression":
            members = np.flatnonzero(np.isin(self._owner, videos))
            start_softmax(self._model, self._by_batch(self._states, members), self._videos.labels[self._owner[members]])

    def train(self, videos, first, last, seed):
        """Steps `first` to `last` on blocks of these videos, each block once before any comes again."""
        members = np.flatnonzero(np.isin(self._owner, videos))
        generator = make_generator(seed, first)
        needed = (last - first) * BATCH
        order = np.concatenate([generator.permutation(members) for _ in range(-(-needed // len(members)))])
        for step in range(last - first):
            blocks = order[step * BATCH : (step + 1) * BATCH]
            self._step(tf.constant(self._rows[blocks]), tf.gather(self._labels, blocks))

    def classify(self, videos):
        """The mean over steps, then over blocks: (len(videos), K) float64."""
        members = np.flatnonzero(np.isin(self._owner, videos))
        per_block = self._by_batch(self._probabilities, members)
        return np.stack([per_block[self._owner[members] == video].mean(0) for video in videos])

    def _by_batch(self, function, members):
        """What a function of rows makes of these blocks, (len(members), ...) float64."""
        padded = np.resize(members, -(-len(members) // EVALUATION_BATCH) * EVALUATION_BATCH)
        parts = [function(tf.constant(self._rows[each])) for each in padded.reshape(-1, EVALUATION_BATCH)]
        return np.concatenate(parts)[: len(members)].astype(np.float64)

    def _read(self, rows):
        return tf.gather(self._frames, rows), tf.cast(rows < len(self._videos.frames), tf.float32)

    def _train_step(self, rows, labels):
        frames, mask = self._read(rows)
        with tf.GradientTape() as tape:
            losses = self._model.block_losses(self._model({"frames": frames}, training=True), labels, mask)
            loss = tf.reduce_mean(losses)
        groups = [variables for variables, _ in self._groups]
        gradients = tape.gradient(loss, [[variable.value for variable in variables] for variables in groups])
        for (variables, optimizer), each in zip(self._groups, gradients, strict=True):
            if variables:
                optimizer.apply(each, variables)
            for variable in variables:
                if len(variable.shape) > 1:  # neither biases nor, by their factor of units, peepholes matter
                    variable.assign_sub(optimizer.learning_rate * self._decay * variable)

    def _classify_blocks(self, rows):
        frames, mask = self._read(rows)
        probabilities = self._model({"frames": frames}, training=False)
        return average_steps(probabilities, mask)

    def _average_states(self, rows):
        frames, mask = self._read(rows)
        return average_states(self._read_states({"frames": frames}), mask)


def frozen(videos, shape, encoder):
    """Logistic regression on the states of a pretrained encoder, averaged over a video's blocks and steps."""
    rows, owner = videos.blocks(*shape.block)
    frames = np.concatenate([videos.frames, np.zeros((1, videos.frames.shape[1]), np.float32)])
    classifier = build_classifier(shape, encoder, seed=0)
    states, means = state_reader(classifier), []
    for first in range(0, len(rows), EVALUATION_BATCH):
        each = rows[first : first + EVALUATION_BATCH]
        hidden = states.predict_on_batch({"frames": frames[each]})
        means.append(average_states(hidden, each < len(videos.frames)))
    means = np.concatenate(means)
    features = np.stack([means[owner == video].mean(0) for video in range(len(videos.paths))])
    return Linear(videos, features, np.arange(len(videos.paths)))
