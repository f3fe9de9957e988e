"""PeepholeLSTM beside keras.layers.LSTM itself: every option of that layer, with its weights and zero peepholes."""

import autodiff
import keras
import numpy as np
import pytest
from keras import ops
from keras_lstm import (
    BATCH,
    FEATURES,
    INNER,
    LONG,
    MASKS,
    OPTIONS,
    STEPS,
    UNITS,
    WHOLE,
    as_arrays,
    assert_alike,
    pair,
    random,
)

from videorep.errors import ConfigError
from videorep.layers import PeepholeLSTM

MASKED = ["defaults", "activation", "both dropouts", "go_backwards", "go_backwards in a loop", "unroll in a loop"]
CASES = [
    *((option, None, STEPS) for option in OPTIONS),
    *((option, None, LONG) for option in ("defaults", "unroll", "dropout", "both dropouts")),
    *((option, "leading and inner", STEPS) for option in (*MASKED, "zero_output_for_mask")),
    *((option, "padded end", STEPS) for option in ("defaults", "go_backwards")),
]


def loss_and_gradients(layer, inputs, state=None, mask=None):
    """In training, by weights (Keras' three), inputs and states; the seeds stay what they were."""
    others = [variable.value for variable in layer.non_trainable_variables]
    peepholes = [ops.zeros((3, UNITS))] if isinstance(layer, PeepholeLSTM) else []
    weights = layer.get_weights()[: 2 + layer.cell.use_bias]
    mask = None if mask is None else ops.convert_to_tensor(np.array(mask, bool))

    def loss(*arguments):
        values, (inputs, *state) = arguments[: len(weights)], arguments[len(weights) :]
        kwargs = {"initial_state": list(state) or None, "mask": mask, "training": True}
        outputs, _ = layer.stateless_call([*values, *peepholes], others, inputs, **kwargs)
        outputs = keras.tree.flatten(outputs)
        return sum(ops.sum(each * random(*each.shape, seed=n)) for n, each in enumerate(outputs))

    return autodiff.gradients(loss, [*weights, inputs, *(state or [])])


@pytest.mark.parametrize("option, mask, steps", CASES)
def test_outputs_states_and_gradients_are_those_of_keras(option, mask, steps):
    """At inference outputs and states; in training loss and gradients, with equal seeds under equal dropout masks."""
    mask, inputs = MASKS.get(mask), random(BATCH, steps, FEATURES)
    theirs, ours = pair(steps, **OPTIONS[option], **WHOLE)
    # Training first: at inference Keras draws masks too, and does not use them.
    value, received = loss_and_gradients(ours, inputs, mask=mask)
    expected_value, expected = loss_and_gradients(theirs, inputs, mask=mask)
    assert value == pytest.approx(expected_value, rel=1e-4, abs=1e-4)
    assert_alike(received, expected, 1e-4)
    mask = None if mask is None else ops.convert_to_tensor(np.array(mask, bool))
    assert_alike(ours(inputs, mask=mask), theirs(inputs, mask=mask))


@pytest.mark.parametrize("option", ["defaults", "activation", "go_backwards", "unroll", "unroll in a loop"])
def test_initial_state_is_taken_as_keras_takes_it(option):
    """As arrays with their gradients, and as Keras tensors of a functional model."""
    theirs, ours = pair(**OPTIONS[option], **WHOLE)
    inputs, state = random(BATCH, STEPS, FEATURES), [random(BATCH, UNITS, seed=n) for n in (2, 3)]
    assert_alike(*(loss_and_gradients(each, inputs, state, INNER)[1] for each in (ours, theirs)), 1e-4)
    frames, *states = keras.Input((STEPS, FEATURES)), keras.Input((UNITS,)), keras.Input((UNITS,))
    models = [keras.Model([frames, *states], each(frames, initial_state=states)) for each in (ours, theirs)]
    assert_alike(*(model([inputs, *state]) for model in models))


@pytest.mark.parametrize("option", ["defaults", "activation", "go_backwards"])
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_return_sequences_and_return_state(return_sequences, return_state, option):
    returned = {"return_sequences": return_sequences, "return_state": return_state}
    theirs, ours = pair(**OPTIONS[option], **returned)
    inputs, symbolic = random(BATCH, STEPS, FEATURES), keras.KerasTensor((None, STEPS, FEATURES))
    assert_alike(ours(inputs), theirs(inputs))
    shapes = [[each.shape for each in keras.tree.flatten(layer(symbolic))] for layer in (ours, theirs)]
    assert shapes[0] == shapes[1]
    mask = ops.convert_to_tensor(np.array(MASKS["padded end"], bool))
    masks = [keras.tree.flatten(layer.compute_mask(inputs, mask)) for layer in (ours, theirs)]
    assert [each is None for each in masks[0]] == [each is None for each in masks[1]]


@pytest.mark.parametrize("option", ["defaults", "activation", "go_backwards"])
def test_a_stateful_layer_goes_on_where_the_batch_before_ended(option):
    theirs, ours = pair(**OPTIONS[option], **WHOLE, stateful=True)
    batches = [random(BATCH, STEPS, FEATURES, seed=seed) for seed in (1, 2)]
    first, second = ([as_arrays(layer(batch)) for layer in (ours, theirs)] for batch in batches)
    assert_alike(*first)
    assert_alike(*second)
    for layer in (theirs, ours):
        layer.reset_state()
    again = as_arrays(ours(batches[1]))
    assert_alike(again, theirs(batches[1]))
    assert np.abs(again[0] - second[0][0]).max() > 1e-2
    with pytest.raises(ConfigError, match="expected the batch of a stateful layer to be of 3 sequences, received 1;"):
        ours(batches[0][:1])


# Options of the weights


@pytest.mark.parametrize("unit_forget_bias", [False, True])
def test_initializers_and_unit_forget_bias(unit_forget_bias):
    """Equal seeds give equal weights; the forget gate's bias starts at 1 where that is asked for."""
    options = {
        **{f"{name}_initializer": "random_normal" for name in ("kernel", "recurrent", "bias")},
        "unit_forget_bias": unit_forget_bias,
    }
    layers = []
    for make in (keras.layers.LSTM, PeepholeLSTM):
        keras.utils.set_random_seed(5)
        seeded = {
            name: keras.initializers.RandomNormal(seed=n) if name.endswith("initializer") else value
            for n, (name, value) in enumerate(options.items())
        }
        layers.append(make(UNITS, **seeded))
        layers[-1].build((None, STEPS, FEATURES))
    theirs, ours = (layer.get_weights() for layer in layers)
    assert_alike(ours[:3], theirs)
    assert (ours[2][UNITS : 2 * UNITS] == 1).all() == unit_forget_bias and not ours[3].any()


@pytest.mark.parametrize("name", ["kernel", "recurrent", "bias"])
def test_regularizers(name):
    theirs, ours = pair(**{f"{name}_regularizer": keras.regularizers.L1L2(0.1, 0.2)})
    assert_alike(ours.losses, theirs.losses)
    assert len(ours.losses) == 1


@pytest.mark.parametrize("returned", [{}, {"return_sequences": True}, WHOLE], ids=len)
def test_activity_regularizer(returned):
    theirs, ours = pair(activity_regularizer="l2", **returned)
    for layer in (theirs, ours):
        layer(random(BATCH, STEPS, FEATURES))
    assert len(ours.losses) > 0
    assert_alike(ours.losses, theirs.losses)


@pytest.mark.parametrize("name", ["kernel", "recurrent", "bias"])
def test_constraints_hold_after_a_step_of_training(name):
    trained = []
    for layer in pair(**{f"{name}_constraint": keras.constraints.NonNeg()}):
        model = keras.Sequential([keras.Input((STEPS, FEATURES)), layer])
        model.compile("sgd", "mse")
        if isinstance(layer, PeepholeLSTM):
            layer.cell.peephole_kernel.trainable = False
        model.fit(random(BATCH, STEPS, FEATURES), random(BATCH, UNITS), epochs=2, verbose=0)
        trained.append(layer.get_weights()[:3])
    assert_alike(trained[1], trained[0])
    assert (trained[1][["kernel", "recurrent", "bias"].index(name)] >= 0).all()


def test_peepholes_have_options_of_their_own():
    options = {"regularizer": "l2", "constraint": "non_neg", "initializer": "ones"}
    layer = PeepholeLSTM(UNITS, **{f"peephole_{role}": value for role, value in options.items()})
    layer.build((None, STEPS, FEATURES))
    assert float(layer.losses[0]) == pytest.approx(0.01 * 3 * UNITS)
    assert isinstance(layer.cell.peephole_kernel.constraint, keras.constraints.NonNeg)
