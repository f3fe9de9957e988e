"""The peephole LSTM and the models built of it, in NumPy and gate by gate: what the layers must compute.

Shares nothing with the code under test. Give float64 arrays. The keywords of `step` make wrong LSTMs out of the
right one; tests use them to prove that they would notice.

Axes: B batch, T time, D features, U units, F frames to emit.
"""

import typing

import numpy as np


class Weights(typing.NamedTuple):
    """One layer's weights, in the order in which the layers list them."""

    kernel: np.ndarray | None
    recurrent_kernel: np.ndarray
    bias: np.ndarray
    peephole_kernel: np.ndarray


class DecoderWeights(typing.NamedTuple):
    layers: list[Weights]
    output_kernel: np.ndarray
    output_bias: np.ndarray


def random_weights(rng, features, units):
    """Asymmetric kernels, biases and peepholes that differ from gate to gate and from unit to unit."""
    kernel = None if features is None else rng.normal(0, 0.6, (features, 4 * units))
    return Weights(
        kernel, rng.normal(0, 0.6, (units, 4 * units)), rng.normal(0, 0.5, 4 * units), rng.normal(0, 0.9, (3, units))
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def step(weights, inputs, hidden, cell, **wrong):
    """h_t and c_t; see `quantities`."""
    *_, new_cell, new_hidden = quantities(weights, inputs, hidden, cell, **wrong)
    return new_hidden, new_cell


def quantities(weights, inputs, hidden, cell, gates="ifco", peepholes="ifo", output_sees="new"):
    """i_t, f_t, o_t, tanh(...), c_t and h_t. Source: Srivastava et al. 2015, section 2.1.

    Args:
        gates: The order of the gates in kernels and bias; any but "ifco" is wrong.
        peepholes: The order of the peephole rows; any but "ifo" is wrong.
        output_sees: The cell state under the output gate's peephole; "old" is wrong.
    """
    units = hidden.shape[-1]

    def weighted(gate):
        columns = slice(gates.index(gate) * units, (gates.index(gate) + 1) * units)
        total = hidden @ weights.recurrent_kernel[:, columns] + weights.bias[columns]
        return total if weights.kernel is None else total + inputs @ weights.kernel[:, columns]

    w_ci, w_cf, w_co = (weights.peephole_kernel[peepholes.index(gate)] for gate in "ifo")
    i = sigmoid(weighted("i") + w_ci * cell)
    f = sigmoid(weighted("f") + w_cf * cell)
    candidate = np.tanh(weighted("c"))
    new_cell = f * cell + i * candidate
    o = sigmoid(weighted("o") + w_co * (new_cell if output_sees == "new" else cell))
    return i, f, o, candidate, new_cell, o * np.tanh(new_cell)


def zero_state(weights, batch):
    return [np.zeros((batch, weights.recurrent_kernel.shape[0])) for _ in range(2)]


def sequence(weights, inputs, state=None, mask=None, **wrong):
    """All steps of one layer: h_1..h_T (B, T, U), h_T and c_T. Where `mask` (B, T) is False, state and output stay."""
    hidden, cell = zero_state(weights, len(inputs)) if state is None else state
    hiddens = []
    for t in range(inputs.shape[1]):
        new_hidden, new_cell = step(weights, inputs[:, t], hidden, cell, **wrong)
        kept = np.ones((len(inputs), 1), bool) if mask is None else mask[:, t, None]
        hidden, cell = np.where(kept, new_hidden, hidden), np.where(kept, new_cell, cell)
        hiddens.append(hidden)
    return np.stack(hiddens, axis=1), hidden, cell


def encode(layers, frames):
    """Every layer's final (h, c), bottom first, and the top layer's h of all steps."""
    states, hiddens = [], frames
    for weights in layers:
        hiddens, *state = sequence(weights, hiddens)
        states.append(state)
    return states, hiddens


def decode(decoder, states, frames, conditional=False, teacher=None, logistic=True, backwards=False, shown=None):
    """Read-outs (B, F, D) in natural time order, before the logistic.

    The first is read off the copied state; `frames - 1` transitions follow. A conditional decoder is fed the frame
    before: the true one where there is a `teacher` (B, F, D), of which `shown` (B, F) may leave some out, else what it
    emitted. `backwards`: it emits the last frame first.
    """
    states, read_outs = [list(state) for state in states], []
    for emitted in range(frames):
        if emitted > 0:
            inputs = None
            if conditional:
                inputs = sigmoid(read_outs[-1]) if logistic else read_outs[-1]
            if conditional and teacher is not None:
                before = frames - emitted if backwards else emitted - 1
                kept = np.ones((len(teacher), 1), bool) if shown is None else shown[:, before, None]
                inputs = np.where(kept, teacher[:, before], inputs)
            for weights, state in zip(decoder.layers, states, strict=True):
                state[:] = step(weights, inputs, *state)
                inputs = state[0]
        read_outs.append(states[-1][0] @ decoder.output_kernel + decoder.output_bias)
    return np.stack(read_outs[::-1] if backwards else read_outs, axis=1)


def finite_differences(function, arguments, epsilon=1e-5):
    """d function(*arguments) / d each argument, by central differences; the function gives one number."""
    gradients = []
    for argument in arguments:
        gradient = np.zeros_like(argument)
        for index in np.ndindex(*argument.shape):
            value = argument[index]
            argument[index] = value + epsilon
            above = function(*arguments)
            argument[index] = value - epsilon
            gradient[index] = (above - function(*arguments)) / (2 * epsilon)
            argument[index] = value
        gradients.append(gradient)
    return gradients
