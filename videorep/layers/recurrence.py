"""The peephole LSTM as pure functions: one step, and a whole sequence with its gradient.

    i_t = sigmoid(W_xi x_t + W_hi h_{t-1} + w_ci * c_{t-1} + b_i)
    f_t = sigmoid(W_xf x_t + W_hf h_{t-1} + w_cf * c_{t-1} + b_f)
    c_t = f_t * c_{t-1} + i_t * tanh(W_xc x_t + W_hc h_{t-1} + b_c)
    o_t = sigmoid(W_xo x_t + W_ho h_{t-1} + w_co * c_t + b_o)
    h_t = o_t * tanh(c_t)

Axes: T time, B batch, U units. Gates stand in the order i, f, c, o and peepholes in the order i, f, o.
Sequences are time-major here: step t is then a contiguous block. Matrix products run in the
compute dtype; gate sums, gates and the cell state are float32.

Source: Srivastava et al. 2015, section 2.1.
"""

from typing import Any

import keras
from keras import ops

Tensor = Any  # of whichever backend Keras runs on
# Up to this many steps the loop is unrolled: backends then schedule and fuse across steps, and the
# hand-written gradient applies. Longer (or unknown) lengths run in one compiled loop, so that
# neither the graph nor the compile time grows with the length. On a CPU the plain graph is faster than
# XLA in both precisions: XLA's products reach 0.9 (float32) and 0.5 (bfloat16) of oneDNN's, its step 0.94
# and less, and it compiles for twice as long. A GPU user under JAX has XLA anyway.
UNROLL_LIMIT = 32


def peephole_step(gate_sums, cell, peephole, activation=ops.tanh, recurrent_activation=ops.sigmoid):
    """One step of the equations above.

    Args:
        gate_sums: (B, 4U) float32, W_x x_t + W_h h_{t-1} + b for the gates i, f, c, o.
        cell: (B, U) float32, c_{t-1}.
        peephole: (3, U) float32, w_ci, w_cf, w_co.
        activation, recurrent_activation: In the place of tanh and of the sigmoid.
    Returns:
        h_t (B, U), c_t (B, U) and what the gradient needs: (i, f, candidate, o, tanh(c_t)).
    """
    i, f, candidate, o = ops.split(gate_sums, 4, axis=-1)
    i = recurrent_activation(i + peephole[0] * cell)
    f = recurrent_activation(f + peephole[1] * cell)
    candidate = activation(candidate)
    cell = f * cell + i * candidate
    o = recurrent_activation(o + peephole[2] * cell)
    squashed = activation(cell)
    return o * squashed, cell, (i, f, candidate, o, squashed)


def peephole_step_derivatives(previous_cell, gates, peephole):
    """What the gradient of `peephole_step` multiplies by; it does not depend on the gradient that arrives.

    With dh and dc the gradients of the loss by h_t and by c_t (not counting what goes through h_t):

        dc_total = dc + by_cell * dh
        gradient by the gate sums i, f, c = sums[i, f, c] * dc_total,  o = sums[o] * dh
        gradient by c_{t-1} = carried * dc_total

    Args:
        previous_cell: (..., U), c_{t-1}.
        gates: what `peephole_step` returned last, each (..., U).
        peephole: (3, U).
    Returns:
        sums (..., 4U), by_cell (..., U), carried (..., U).
    """
    i, f, candidate, o, squashed = gates
    d_i = candidate * i * (1.0 - i)
    d_f = previous_cell * f * (1.0 - f)
    d_candidate = i * (1.0 - candidate * candidate)
    d_o = squashed * o * (1.0 - o)
    by_cell = o * (1.0 - squashed * squashed) + d_o * peephole[2]
    carried = f + d_i * peephole[0] + d_f * peephole[1]
    return ops.concatenate([d_i, d_f, d_candidate, d_o], axis=-1), by_cell, carried


def gate_sums(hidden, recurrent_kernel, bias, projected=None, dropout_mask=None):
    """W_h h_{t-1} + b (+ the projected input W_x x_t), summed in float32."""
    rows = ops.cast(hidden, recurrent_kernel.dtype)
    sums = ops.cast(product(rows, recurrent_kernel, dropout_mask), "float32") + bias
    return sums if projected is None else sums + ops.cast(projected, "float32")


def product(rows, kernel, dropout_mask=None):
    """rows (..., N) @ kernel (N, 4U), the rows times a dropout mask, or times one of four for each gate."""
    if dropout_mask is None:
        return ops.matmul(rows, kernel)
    masks = dropout_mask if isinstance(dropout_mask, list) else [dropout_mask]
    parts = zip(masks, ops.split(kernel, len(masks), axis=-1), strict=True)
    return ops.concatenate([ops.matmul(rows * ops.cast(mask, rows.dtype), part) for mask, part in parts], axis=-1)


def peephole_sequence(state, weights, projected=None, mask=None, steps=None):
    """All steps of one layer, unrolled, with the hand-written gradient: the fast path.

    Args:
        state: [h, c], (B, U) float32, the initial state.
        weights: recurrent_kernel (U, 4U), in the dtype of the matrix products; bias (4U,) float32; peephole (3, U)
            float32.
        projected: (T, B, 4U), W_x x_t for every step, or None for a layer without input.
        mask: (T, B) bool or None; where False, state and output stay what they were.
        steps: T.
    Returns:
        h_1..h_T (T, B, U) float32 and c_T (B, U) float32.
    """
    arguments = [*state, *weights]
    if projected is not None:
        arguments.append(projected)
    if keras.backend.backend() not in ("tensorflow", "jax"):
        # Keras' custom gradient carries a single output on the other backends: they differentiate the plain loop.
        hiddens, cells, _ = _unrolled(*arguments, mask=mask, steps=steps)
        return ops.stack(hiddens[1:]), cells[-1]

    @ops.custom_gradient
    def sequence(*arguments):
        hiddens, cells, gates = _unrolled(*arguments, mask=mask, steps=steps)

        def gradient(*upstream):
            # TensorFlow passes one argument per output, JAX one tuple.
            hidden_gradients, cell_gradient = upstream[0] if len(upstream) == 1 else upstream
            return _unrolled_gradient(arguments, mask, hiddens, cells, gates, hidden_gradients, cell_gradient)

        return (ops.stack(hiddens[1:]), cells[-1]), gradient

    return sequence(*arguments)


def _hold(mask, new, old):
    return ops.where(mask[:, None], new, old)


def _unrolled(hidden, cell, recurrent_kernel, bias, peephole, projected=None, *, mask, steps):
    """Every state h_0..h_T and c_0..c_T, and the gates of every step."""
    hiddens, cells, gates = [hidden], [cell], []
    for t in range(steps):
        sums = gate_sums(hiddens[t], recurrent_kernel, bias, None if projected is None else projected[t])
        hidden, cell, step_gates = peephole_step(sums, cells[t], peephole)
        if mask is not None:
            hidden, cell = _hold(mask[t], hidden, hiddens[t]), _hold(mask[t], cell, cells[t])
        hiddens.append(hidden)
        cells.append(cell)
        gates.append(step_gates)
    return hiddens, cells, gates


def _unrolled_gradient(arguments, mask, hiddens, cells, gates, hidden_gradients, cell_gradient):
    """Gradients by the arguments of `_unrolled`, in their order.

    Before the loop, all derivatives of all steps; in it, only the recurrence; after it, each weight gradient as one
    product over all steps. Small models spend their time on the number of operations, large ones on the products.
    """
    _, _, recurrent_kernel, _, peephole, *projected = arguments
    steps, dtype = len(gates), recurrent_kernel.dtype
    before, after = ops.stack(cells[:-1]), ops.stack(cells[1:])
    stacked_gates = [ops.stack(each) for each in zip(*gates, strict=True)]
    derivatives = peephole_step_derivatives(before, stacked_gates, peephole)
    if mask is not None:
        sums, by_cell, carried = derivatives
        held = ops.cast(ops.logical_not(mask), "float32")[..., None]
        derivatives = (sums * (1.0 - held), by_cell * (1.0 - held), carried * (1.0 - held) + held)
    sums, by_cell, carried = (ops.unstack(each, steps) for each in derivatives)
    hidden_gradients = ops.unstack(hidden_gradients, steps)
    hidden_gradient, sums_gradients = None, [None] * steps
    for t in reversed(range(steps)):
        arriving = hidden_gradients[t] if hidden_gradient is None else hidden_gradients[t] + hidden_gradient
        cell_gradient = cell_gradient + by_cell[t] * arriving
        d_sums = sums[t] * ops.concatenate([cell_gradient, cell_gradient, cell_gradient, arriving], axis=-1)
        cell_gradient = carried[t] * cell_gradient
        hidden_gradient = ops.cast(times_transposed(ops.cast(d_sums, dtype), recurrent_kernel), "float32")
        if mask is not None:
            hidden_gradient += held[t] * arriving
        sums_gradients[t] = d_sums
    d_sums = ops.stack(sums_gradients)
    d_recurrent = ops.matmul(
        ops.transpose(ops.cast(ops.concatenate(hiddens[:-1], axis=0), dtype)),
        ops.cast(ops.reshape(d_sums, (-1, d_sums.shape[-1])), dtype),
    )
    d_i, d_f, _, d_o = ops.split(d_sums, 4, axis=-1)
    d_peephole = [
        ops.sum(d_gate * state, axis=(0, 1)) for d_gate, state in ((d_i, before), (d_f, before), (d_o, after))
    ]
    result = [hidden_gradient, cell_gradient, d_recurrent, ops.sum(d_sums, axis=(0, 1)), ops.stack(d_peephole)]
    return (*result, *(ops.cast(d_sums, each.dtype) for each in projected))


def times_transposed(rows, kernel):
    """rows @ kernel^T, (N, K) by (M, K) to (N, M).

    float32 runs as a batch of one: TensorFlow's CPU kernel for batches reads a transposed operand at full speed, its
    kernel for single products at a third to two thirds of that. In bfloat16 the single product is the faster one.
    """
    if keras.backend.standardize_dtype(kernel.dtype) == "float32":
        return ops.matmul(rows[None], ops.swapaxes(kernel[None], 1, 2))[0]
    return ops.matmul(rows, ops.transpose(kernel))


def step_by_step(step, state, inputs=None, mask=None, steps=None, unroll=False):
    """The same by any step, in one loop of the backend's or unrolled, differentiated by the backend.

    Args:
        step: Function of (inputs of one step or None, [h, c]) that gives the new (h, c).
        state, mask, steps: As for `peephole_sequence`; `steps` may be unknown where there are inputs.
        inputs: (T, B, N) or None.
    """
    scanned = inputs
    if mask is not None:
        # The mask travels as one more column: with several inputs Keras' scan fails on TensorFlow if T is unknown.
        column = ops.expand_dims(ops.cast(mask, "float32"), -1)
        scanned = column if inputs is None else ops.concatenate([ops.cast(inputs, "float32"), column], axis=-1)

    def masked_step(state, scanned):
        if mask is None:
            new = step(scanned, state)
        else:
            new = step(None if inputs is None else scanned[:, :-1], state)
            new = tuple(_hold(scanned[:, -1] > 0, after, before) for after, before in zip(new, state, strict=True))
        return new, new

    state = tuple(state)
    if not unroll:
        (_, cell), (hiddens, _) = ops.scan(masked_step, state, scanned, length=steps)
        return hiddens, cell
    hiddens = []
    for t in range(steps):
        state, _ = masked_step(state, None if scanned is None else scanned[t])
        hiddens.append(state[0])
    return ops.stack(hiddens), state[1]
