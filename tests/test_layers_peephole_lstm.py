"""PeepholeLSTMCell and PeepholeLSTM against the NumPy oracle and TensorFlow's BlockLSTM."""

import itertools

import autodiff
import keras
import lstm_oracle
import numpy as np
import pytest
from keras import ops
from peephole_cases import (
    FEATURES,
    MASKS,
    UNITS,
    Case,
    as_numpy,
    assert_all_close,
    call,
    cell_in_rnn,
    mask_of,
    sequence_layer,
    with_weights,
)

from videorep.layers import PeepholeLSTMCell

WRONG = (
    [{"gates": "".join(order)} for order in itertools.permutations("ifco") if order != tuple("ifco")]
    + [{"peepholes": "".join(order)} for order in itertools.permutations("ifo") if order != tuple("ifo")]
    + [{"output_sees": "old"}]
)
tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own operation")


# The oracle


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("make", [sequence_layer, cell_in_rnn])
def test_forward_agrees_with_the_oracle(make, mask, with_state):
    case, mask = Case(), mask_of(mask)
    state = case.state if with_state else None
    if make is cell_in_rnn and with_state and mask is not None:
        mask[:, 0] = True  # Before the first step that counts Keras' RNN emits zeros, PeepholeLSTM the given h.
    outputs = call(with_weights(make(), case.weights), case.inputs, state, mask)
    assert_all_close(outputs, lstm_oracle.sequence(case.weights, case.inputs, state, mask))


def test_cell_step_agrees_with_the_oracle():
    case = Case()
    cell = with_weights(PeepholeLSTMCell(UNITS), case.weights, (None, FEATURES))
    output, (hidden, new_cell) = cell(case.inputs[:, 0].astype("float32"), [s.astype("float32") for s in case.state])
    expected = lstm_oracle.step(case.weights, case.inputs[:, 0], *case.state)
    assert_all_close(as_numpy([output, hidden, new_cell]), [expected[0], *expected])


def test_cell_without_inputs_agrees_with_the_oracle():
    weights = lstm_oracle.random_weights(np.random.default_rng(1), None, UNITS)
    cell = PeepholeLSTMCell(UNITS, use_inputs=False)
    cell.build()
    cell.set_weights(list(weights[1:]))
    state = Case().state
    _, received = cell(None, [each.astype("float32") for each in state])
    assert_all_close(as_numpy(received), lstm_oracle.step(weights, None, *state))


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: "-".join(map(str, *wrong.items())))
def test_a_wrong_oracle_is_noticed(wrong):
    """Swapped gates, swapped peepholes and a peephole on the old cell state each fail the test above."""
    case = Case()
    outputs = call(with_weights(sequence_layer(), case.weights), case.inputs, case.state)
    mutated = lstm_oracle.sequence(case.weights, case.inputs, case.state, **wrong)
    for ours, theirs in zip(outputs, mutated, strict=True):
        assert np.abs(ours - theirs).max() > 1e-2
    single_step = lstm_oracle.step(case.weights, case.inputs[:, 0], *case.state, **wrong)[0]
    assert np.abs(outputs[0][:, 0] - single_step).max() > 1e-2


@pytest.mark.parametrize("mask", ["no mask", "leading and inner"])
@pytest.mark.parametrize("make", [sequence_layer, cell_in_rnn])
def test_gradients_agree_with_finite_differences(make, mask):
    case, mask = Case(), mask_of(mask)
    if make is cell_in_rnn and mask is not None:
        mask[:, 0] = True  # As above.
    layer = with_weights(make(), case.weights)
    value, received = autodiff.gradients(case.layer_loss(layer, mask), case.arguments)
    expected = lstm_oracle.finite_differences(case.oracle_loss(mask), case.arguments)
    assert value == pytest.approx(case.oracle_loss(mask)(*case.arguments), abs=1e-5, rel=1e-5)
    assert_all_close(received, expected)


def test_gradients_of_a_wrong_oracle_are_noticed():
    case = Case()
    _, received = autodiff.gradients(case.layer_loss(with_weights(sequence_layer(), case.weights)), case.arguments)
    for wrong in ({"gates": "fico"}, {"gates": "ifoc"}, {"peepholes": "fio"}, {"output_sees": "old"}):
        mutated = lstm_oracle.finite_differences(case.oracle_loss(**wrong), case.arguments)
        for ours, theirs in zip(received, mutated, strict=True):
            assert np.abs(ours - theirs).max() > 1e-2, wrong


# TensorFlow's own peephole LSTM


def block_lstm(inputs, hidden, cell, kernel, recurrent_kernel, bias, peephole_kernel):
    """The same layer by BlockLSTM, whose gates stand in the order i, c, f, o: h_1..h_T (B, T, U), h_T, c_T."""
    import tensorflow as tf

    def reordered(weight):
        i, f, c, o = tf.split(weight, 4, axis=-1)
        return tf.concat([i, c, f, o], axis=-1)

    outputs = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.constant(inputs.shape[1], tf.int64),
        x=tf.transpose(inputs, (1, 0, 2)),
        cs_prev=cell,
        h_prev=hidden,
        w=reordered(tf.concat([kernel, recurrent_kernel], axis=0)),
        wci=peephole_kernel[0],
        wcf=peephole_kernel[1],
        wco=peephole_kernel[2],
        b=reordered(bias),
        forget_bias=0.0,
        cell_clip=0.0,
        use_peephole=True,
    )
    return tf.transpose(outputs.h, (1, 0, 2)), outputs.h[-1], outputs.cs[-1]


@tensorflow_only
def test_forward_agrees_with_block_lstm():
    case = Case()
    arguments = [each.astype("float32") for each in (case.inputs, *case.state, *case.weights)]
    outputs = call(with_weights(sequence_layer(), case.weights), case.inputs, case.state)
    assert_all_close(outputs, as_numpy(block_lstm(*arguments)))


@tensorflow_only
def test_gradients_agree_with_block_lstm():
    case = Case()

    def block_loss(*arguments):
        outputs = block_lstm(arguments[4], *arguments[5:], *arguments[:4])
        return sum(
            ops.sum(ops.multiply(y, upstream.astype("float32")))
            for y, upstream in zip(outputs, case.upstream, strict=True)
        )

    layer = with_weights(sequence_layer(), case.weights)
    value, received = autodiff.gradients(case.layer_loss(layer), case.arguments)
    expected_value, expected = autodiff.gradients(block_loss, case.arguments)
    assert value == pytest.approx(expected_value, abs=1e-5, rel=1e-5)
    assert_all_close(received, expected)
