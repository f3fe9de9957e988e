"""The decoder against the NumPy oracle: what it is fed, where it starts, in which order it answers."""

import autodiff
import keras
import lstm_oracle
import numpy as np
import pytest
from keras import ops
from keras.src import testing

from videorep.layers import Decoder

BATCH, FRAMES, FEATURES, UNITS = 3, 5, 4, (6, 6)
LONG = 70  # More than any loop that is unrolled.
MODES = {
    "unconditioned": {"conditional": False, "taught": False},
    "teacher": {"conditional": True, "taught": True},
    "own output": {"conditional": True, "taught": False},
}


class Case:
    """A random decoder of one or two layers, the states it starts from and the true frames, in float64."""

    def __init__(self, conditional, layers=2, frames=FRAMES, seed=0):
        rng, self.units = np.random.default_rng(seed), UNITS[:layers]
        inputs = (FEATURES if conditional else None, *self.units)
        stack = [lstm_oracle.random_weights(rng, *sizes) for sizes in zip(inputs, self.units, strict=False)]
        output_kernel = rng.normal(size=(self.units[-1], FEATURES))
        self.weights = lstm_oracle.DecoderWeights(stack, output_kernel, rng.normal(size=FEATURES))
        self.states = [[rng.normal(size=(BATCH, size)), rng.normal(size=(BATCH, size))] for size in self.units]
        self.teacher = rng.random((BATCH, frames, FEATURES))
        self.conditional, self.frames = conditional, frames

    def decoder(self, **kwargs):
        decoder = Decoder(self.units, FEATURES, self.frames, conditional=self.conditional, **kwargs)
        decoder.build()
        for lstm, weights in zip(decoder.lstms, self.weights.layers, strict=True):
            lstm.set_weights([weight for weight in weights if weight is not None])
        decoder.output_kernel.assign(self.weights.output_kernel)
        decoder.output_bias.assign(self.weights.output_bias)
        return decoder

    def oracle(self, taught=False, **kwargs):
        teacher = self.teacher if taught else None
        return lstm_oracle.decode(self.weights, self.states, self.frames, self.conditional, teacher, **kwargs)


def as_tensors(states):
    return [[ops.convert_to_tensor(each, "float32") for each in state] for state in states]


def call(decoder, states, teacher=None):
    teacher = None if teacher is None else ops.convert_to_tensor(teacher, "float32")
    return ops.convert_to_numpy(decoder(as_tensors(states), teacher=teacher))


def assert_close(received, expected, tolerance=1e-5):
    np.testing.assert_allclose(received, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_agrees_with_the_oracle(mode, layers, backwards):
    conditional, taught = MODES[mode]["conditional"], MODES[mode]["taught"]
    case = Case(conditional, layers)
    received = call(case.decoder(backwards=backwards), case.states, case.teacher if taught else None)
    assert received.dtype == np.float32
    assert_close(received, case.oracle(taught, backwards=backwards))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("frames", [1, 2, LONG])
def test_any_number_of_frames_agrees_with_the_oracle(mode, frames):
    case = Case(MODES[mode]["conditional"], 2, frames)
    # Weights at half their size: over 70 steps fed with its own output, rounding must not be what is tested.
    halved = [lstm_oracle.Weights(*(None if w is None else w / 2 for w in each)) for each in case.weights.layers]
    case.weights = case.weights._replace(layers=halved)
    taught = MODES[mode]["taught"]
    received = call(case.decoder(backwards=True), case.states, case.teacher if taught else None)
    assert_close(received, case.oracle(taught, backwards=True))


@pytest.mark.parametrize("frames, backwards", [(2, False), (FRAMES, True), (FRAMES, False), (LONG, True)])
def test_of_the_true_frames_it_sees_those_that_are_shown(frames, backwards):
    case = Case(True, 2, frames)
    halved = [lstm_oracle.Weights(*(None if w is None else w / 2 for w in each)) for each in case.weights.layers]
    case.weights = case.weights._replace(layers=halved)
    decoder, shown = case.decoder(backwards=backwards), np.random.default_rng(3).random((BATCH, frames)) < 0.5
    teacher = ops.convert_to_tensor(case.teacher, "float32")

    def read_out(*shown):
        hiddens = decoder.hiddens(as_tensors(case.states), teacher, *map(ops.convert_to_tensor, shown))
        return ops.convert_to_numpy(decoder.read_out(decoder.natural_order(hiddens)))

    assert_close(read_out(shown), case.oracle(True, backwards=backwards, shown=shown))
    assert_close(read_out(np.ones_like(shown)), read_out())
    assert_close(read_out(np.zeros_like(shown)), call(decoder, case.states))


def test_gaussian_output_is_fed_back_as_it_is():
    case = Case(conditional=True)
    received = call(case.decoder(output="gaussian"), case.states)
    assert_close(received, case.oracle(logistic=False))
    assert np.abs(received - case.oracle(logistic=True)).max() > 1e-2


def test_first_frame_is_read_off_the_copied_state():
    case = Case(conditional=False)
    expected = case.states[-1][0] @ case.weights.output_kernel + case.weights.output_bias
    assert_close(call(case.decoder(), case.states)[:, 0], expected)
    assert_close(call(case.decoder(backwards=True), case.states)[:, -1], expected)


def test_wrong_decoders_are_noticed():
    """A transition too many, the other order, raw logits fed back, a teacher off by one frame."""
    case = Case(conditional=True)
    own, taught = call(case.decoder(), case.states), call(case.decoder(), case.states, case.teacher)
    longer = lstm_oracle.decode(case.weights, case.states, FRAMES + 1, True)
    early = lstm_oracle.decode(case.weights, case.states, FRAMES, True, np.roll(case.teacher, -1, axis=1))
    late = lstm_oracle.decode(case.weights, case.states, FRAMES, True, np.roll(case.teacher, 1, axis=1))
    unreversed = lstm_oracle.decode(case.weights, case.states, FRAMES, True, case.teacher[:, ::-1])
    for received, wrong in [
        (own, longer[:, 1:]),
        (own, own[:, ::-1]),
        (own, case.oracle(logistic=False)),
        (own, taught),
        *((taught, wrong) for wrong in (early, late, unreversed)),
    ]:
        assert np.abs(received - wrong).max() > 1e-2


@pytest.mark.parametrize("backwards, unseen", [(False, -1), (True, 0)])
def test_teacher_shows_only_frames_already_emitted(backwards, unseen):
    """The frame emitted last is never fed; frame by frame, what comes later changes nothing before it."""
    case = Case(conditional=True)
    decoder = case.decoder(backwards=backwards)
    before = call(decoder, case.states, case.teacher)
    changed = case.teacher.copy()
    changed[:, unseen] += 9.0
    assert_close(call(decoder, case.states, changed), before)
    changed[:, 2] += 9.0
    moved = np.abs(call(decoder, case.states, changed) - before).max(axis=(0, 2)) > 1e-4
    assert moved.tolist() == ([True, True, False, False, False] if backwards else [False, False, False, True, True])


def test_unconditioned_decoder_has_no_input_kernel_and_ignores_a_teacher():
    case = Case(conditional=False)
    decoder = case.decoder()
    assert [len(lstm.weights) for lstm in decoder.lstms] == [3, 4]
    assert_close(call(decoder, case.states, case.teacher), case.oracle())


@pytest.mark.parametrize("mode", MODES)
def test_gradients_agree_with_finite_differences(mode):
    """By every weight, the states and the teacher."""
    case, taught = Case(MODES[mode]["conditional"]), MODES[mode]["taught"]
    decoder, upstream = case.decoder(), np.random.default_rng(5).normal(size=(BATCH, FRAMES, FEATURES))
    paths = [variable.path.replace("/cell/", "/").split("/")[-2:] for variable in decoder.trainable_variables]
    states = [each for state in case.states for each in state]
    arguments = [ops.convert_to_numpy(variable).astype("float64") for variable in decoder.trainable_variables] + states
    arguments += [case.teacher] if taught else []

    def find(values, *names):
        found = [value for value, path in zip(values, paths, strict=False) if tuple(path[-len(names) :]) == names]
        return found[0] if found else None

    def oracle_loss(*values):
        stack = [
            lstm_oracle.Weights(*(find(values, lstm.name, name) for name in lstm_oracle.Weights._fields))
            for lstm in decoder.lstms
        ]
        weights = lstm_oracle.DecoderWeights(stack, find(values, "output_kernel"), find(values, "output_bias"))
        pairs = [values[len(paths) + 2 * depth :][:2] for depth in range(2)]
        teacher = values[-1] if taught else None
        return np.sum(lstm_oracle.decode(weights, pairs, FRAMES, case.conditional, teacher) * upstream)

    def decoder_loss(*values):
        pairs = [list(values[len(paths) + 2 * depth :][:2]) for depth in range(2)]
        kwargs = {"teacher": values[-1]} if taught else {}
        outputs, _ = decoder.stateless_call(list(values[: len(paths)]), [], pairs, **kwargs)
        return ops.sum(ops.multiply(outputs, upstream.astype("float32")))

    value, received = autodiff.gradients(decoder_loss, arguments)
    assert value == pytest.approx(oracle_loss(*arguments), rel=1e-5, abs=1e-5)
    for ours, theirs in zip(received, lstm_oracle.finite_differences(oracle_loss, arguments), strict=True):
        assert_close(ours, theirs, 3e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("policy, tolerance", [("mixed_bfloat16", 0.1), ("mixed_float16", 0.02)])
def test_mixed_precision_follows_float32(policy, tolerance, mode):
    case, taught = Case(MODES[mode]["conditional"]), MODES[mode]["taught"]
    decoder = case.decoder(dtype=policy)
    received = call(decoder, case.states, case.teacher if taught else None)
    assert received.dtype == np.float32
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in decoder.weights} == {"float32"}
    assert_close(received, case.oracle(taught), tolerance)


class KerasLayerTest(testing.TestCase):
    def test_config_round_trip(self):
        self.run_class_serialization_test(
            Decoder((6, 5), 4, 3, conditional=True, output="gaussian", backwards=True, seed=3, dtype="mixed_bfloat16")
        )

    def test_symbolic_shape(self):
        states = [[keras.KerasTensor((None, size)) for _ in range(2)] for size in UNITS]
        assert Decoder(UNITS, FEATURES, 7)(states).shape == (None, 7, FEATURES)


def test_seed_decides_the_initial_weights():
    def initial(seed):
        decoder = Decoder((6, 5), 4, 3, conditional=True, seed=seed)
        decoder.build()
        return [
            ops.convert_to_numpy(weight)
            for weight in decoder.weights
            if "kernel" in weight.path and weight.shape[0] != 3
        ]

    first, again, other = initial(0), initial(0), initial(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
