"""What a SavedModel computes: each kind of model behind the signatures that serve it, in TensorFlow alone.

Every input has the batch first, so that a server can put requests together: without inputs, or with a number alone, it
could not. A request that no honest answer can be given to fails with InvalidArgumentError (of TensorFlow Serving:
INVALID_ARGUMENT) and says why. docs/serving.md tells the signatures.
"""

import functools
import json

import tensorflow as tf

from videorep.config import FinetuneConfig, StreamConfig
from videorep.live.stream import advance, classify_next
from videorep.models.averaging import average_steps

DEFAULT = "serving_default"
BEST = 5  # classes that `top_labels` names
LONGEST_HORIZON = 10_000  # of one request: a number that asks for memory


class Served(tf.Module):
    """A model and its signatures.

    Args:
        model: The run's Keras model.
        config: The run's configuration.
        perception: A `videorep.serving.frames.GraphPerception` for signatures of encoded frames, or None.
    """

    def __init__(self, model, config, perception=None):
        super().__init__()
        self.model, self.config, self.perception = model, config, perception
        self.variables_ = [variable.value for variable in model.variables]

    def concrete_signatures(self):
        """{name: concrete function of named tensors that gives {name: tensor}}; one for all names of a function."""
        listed = self.listed()
        traced = {function: _trace(function, specs) for function, *specs in listed.values()}
        return {name: traced[function] for name, (function, *_) in listed.items()}

    @property
    def input(self):
        """The TensorSpec of what `serving_default` takes; None where any number will do."""
        return self.listed()[DEFAULT][1]


class ServedEncoderDecoder(Served):
    """Reconstruction and future of a batch of frame sequences, the model fed with its own output."""

    def listed(self):
        """{name: (function, the TensorSpec of each argument)}."""
        config = self.model.config
        any_length = _spec((None, None, config.features), "frames")
        listed = {DEFAULT: (self.run, _spec((None, config.input_frames, config.features), "frames"))}
        listed["represent"] = (self.represent, any_length)
        if "reconstruction" in config.branches:
            listed["reconstruct"] = (self.reconstruct, any_length)
        if "future" in config.branches:
            listed["predict_future"] = (self.predict_future, any_length, _spec((None,), "horizon", tf.int32))
        return listed

    def run(self, frames):
        return self.model({"frames": require_finite(frames)}, training=False)

    def represent(self, frames):
        return {"embedding": self._encode(frames)[-1][0]}

    def reconstruct(self, frames):
        length = _require_some(tf.shape(frames)[1])
        return {"reconstruction": self._emit("reconstruction", frames, length)}

    def predict_future(self, frames, horizon):
        """As many frames of every video as the longest horizon of the batch, (B,), asks for."""
        horizon = _require_horizons(_require_same_batch(horizon, frames))
        return {"future": self._emit("future", frames, tf.maximum(tf.reduce_max(horizon), 1))}

    def _encode(self, frames):
        return self.model.encode(_after(_require_some(tf.shape(frames)[1]), require_finite(frames)))

    def _emit(self, branch, frames, count):
        """So many frames (B, count, D) of a decoder: its own loop, as the layer's has a fixed number of steps."""
        decoder, states = self.model.decoders[branch], self._encode(frames)
        hiddens = tf.TensorArray(tf.float32, count)
        for step in tf.range(count):
            hidden = states[-1][0]
            hiddens = hiddens.write(step, hidden)
            inputs = decoder.emitted(decoder.read_out(hidden)) if decoder.conditional else None
            _, states = advance(decoder.lstms, inputs, states)
        read = decoder.read_out(decoder.natural_order(hiddens.stack()))
        return self.model.emitted({branch: read})[branch]


class ServedClasses(Served):
    """What both kinds of classifiers have: classes, and signatures of a clip's encoded frames.

    "images" are (B, T) JPEGs or PNGs, "" behind the frames of a shorter clip; "examples" (B,) records of clip shards.
    """

    def listed(self):
        """{name: (function, the TensorSpec of each argument)}."""
        listed = {DEFAULT: (self.classify, self.features), "classify": (self.classify, self.features)}
        if self.perception:
            listed["classify_frames"] = (self.classify_frames, _spec((None, None), "images", tf.string))
            listed["classify_sequence_example"] = (self.classify_records, _spec((None,), "examples", tf.string))
        return listed

    def classify_frames(self, images):
        return self.classify_padded(*self.perception.see_clips(images))

    def classify_records(self, examples):
        return self.classify_frames(self.perception.parse(examples))


class ServedStream(ServedClasses):
    """Class probabilities of a batch of stacks of optical flow, or of frames; a clip's are the mean of its frames'."""

    @property
    def features(self):
        return _spec(tuple(self.model.inputs[0].shape), "stacks")

    def classify(self, stacks):
        return name_classes(self.model(require_finite(stacks), training=False), self.config.model.classes)

    def classify_padded(self, probabilities, length):
        """Of clips of which every frame was classified, which is all that `perception` gives here."""
        mask = tf.sequence_mask(_require_some(length), tf.shape(probabilities)[1])
        return name_classes(average_steps(probabilities, mask), self.config.model.classes)


class ServedClassifier(ServedClasses):
    """Video-level classification: block probabilities averaged over steps, then over blocks (paper section 3.3).

    A video of at least `block_frames` frames is cut into blocks with stride `block_stride`; a shorter one is one
    block, whose padded steps are left out of the average. `step` carries the state on from frame to frame instead.
    """

    @property
    def features(self):
        return _spec((None, None, self.model.config.features), "frames")

    def listed(self):
        length = _spec((None,), "length", tf.int32)
        listed = super().listed() | {"classify_padded": (self.classify_padded, self.features, length)}
        if self.model.lstms:
            state = _spec((None, self.state_size), "state")
            frame = _spec((None, self.model.config.features), "frame")
            listed["initial_state"] = (self.initial_state, _spec((None,), "streams", tf.int32))
            listed["step"] = (self.step, frame, state)
            if self.perception:
                listed["step_frame"] = (self.step_frame, _spec((None,), "image", tf.string), state)
        if self.perception:
            listed["describe"] = (self.describe, _spec((None,), "request", tf.string))
        return listed

    def describe(self, request):
        """What `videorep.serving.client` has to know: the classes, how videos become clips, and blocks of these.

        To each of the requests (B,), whatever these say.
        """
        config = self.model.config
        facts = {"classes": config.classes, "clips": self.perception.clips, "block": config.block}
        return {"facts": tf.fill(tf.shape(request), json.dumps(facts))}

    def classify(self, frames):
        return self.classify_padded(frames, tf.fill(tf.shape(frames)[:1], tf.shape(frames)[1]))

    def classify_padded(self, frames, length):
        (size, stride), config = self.model.config.block, self.model.config
        batch, longest = tf.shape(frames)[0], tf.shape(frames)[1]
        length = _require_some(_require_same_batch(length, frames))
        fits = tf.debugging.assert_less_equal(length, longest, "expected lengths of at most the frames received")
        length = _after(fits, length)
        frames = tf.where(tf.sequence_mask(length, longest)[..., None], frames, 0.0)
        padded = tf.pad(require_finite(frames), [[0, 0], [0, tf.maximum(size - longest, 0)], [0, 0]])
        blocks = tf.signal.frame(padded, size, stride, axis=1)
        most = tf.shape(blocks)[1]
        probabilities = self.model({"frames": tf.reshape(blocks, (-1, size, config.features))}, training=False)
        of_steps = tf.repeat(tf.sequence_mask(length, size), most, axis=0)
        per_block = tf.reshape(average_steps(probabilities, of_steps), (batch, most, len(config.classes)))
        whole = tf.maximum(length - size, 0) // stride + 1  # blocks of each video that no padding has come into
        return name_classes(average_steps(per_block, tf.sequence_mask(whole, most)), config.classes)

    def initial_state(self, streams):
        """States (B, S) of streams (B,) that begin, whatever numbers these have."""
        return {"state": tf.zeros((tf.shape(streams)[0], self.state_size))}

    def step(self, frame, state):
        state = require_finite(_require_same_batch(state, frame))
        probabilities, carried = self.carry(require_finite(frame), state)
        return name_classes(probabilities, self.model.config.classes) | {"state": carried}

    def carry(self, frame, state):
        """Probabilities (B, K) after frame (B, D), and the state (B, S) that the next one meets; nothing is checked."""
        parts = iter(tf.split(state, self._sizes(), axis=-1))
        states = [list(pair) for pair in zip(parts, parts, strict=True)]
        probabilities, states = classify_next(self.model, frame, states)
        return probabilities, tf.concat([part for pair in states for part in pair], axis=-1)

    def step_frame(self, image, state):
        return self.step(self.perception.see(image), state)

    @property
    def state_size(self):
        return sum(self._sizes())

    def _sizes(self):
        """Of h and c of every layer, which lie side by side in a state."""
        return [units for units in self.model.config.units for _ in "hc"]


def _trace(function, specs):
    """The concrete function; it compares the shapes of its arguments with the specs, as no server does."""

    @functools.wraps(function)
    def checked(*arguments):
        return function(*(tf.ensure_shape(each, spec.shape) for each, spec in zip(arguments, specs, strict=True)))

    return tf.function(checked).get_concrete_function(*specs)


def _spec(shape, name, dtype=tf.float32):
    return tf.TensorSpec(shape, dtype, name=name)


def _after(check, value):
    """The value, of which nothing is computed before a check (or what was checked) is; None where all is well."""
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(value)


def _require_some(length):
    message = "expected videos of at least one frame, received none"
    return _after(tf.debugging.assert_greater_equal(length, 1, message), length)


def _require_horizons(numbers):
    fit = tf.reduce_all((numbers >= 1) & (numbers <= LONGEST_HORIZON))
    return _after(tf.debugging.Assert(fit, [f"expected horizons from 1 to {LONGEST_HORIZON:,}"]), numbers)


def _require_same_batch(value, other):
    """TensorFlow would spread one row over all."""
    message = "expected inputs of one batch size, received two"
    return _after(tf.debugging.assert_equal(tf.shape(value)[0], tf.shape(other)[0], message), value)


def require_finite(values):
    """The values; the request fails where one of them is NaN or infinite."""
    message = "expected finite values, received NaN or infinity; look at what made them"
    return _after(tf.debugging.Assert(tf.reduce_all(tf.math.is_finite(values)), [message]), values)


def name_classes(probabilities, classes):
    """What every classification answers.

    Returns:
        "probabilities" (B, K); "index" (B,) int32 and "label" (B,) of the most probable class; "top_labels" and
        "top_probabilities" (B, 5), or (B, K) where there are fewer classes, the best first.
    """
    names, best = tf.constant(classes), tf.argmax(probabilities, axis=-1, output_type=tf.int32)
    top, places = tf.math.top_k(probabilities, min(BEST, len(classes)))
    named = {"probabilities": probabilities, "index": best, "label": tf.gather(names, best)}
    return named | {"top_probabilities": top, "top_labels": tf.gather(names, places)}


def serve(model, config, perception=None):
    """The `Served` model of a run with this configuration."""
    kinds = {FinetuneConfig: ServedClassifier, StreamConfig: ServedStream}
    return kinds.get(type(config), ServedEncoderDecoder)(model, config, perception)
