"""What the units of a pretrained model do while it reads a sequence and then runs on by itself."""

import numpy as np
from keras import ops

from videorep.config import DataConfig
from videorep.evaluation.future_prediction import predict_sequences
from videorep.layers import Decoder
from videorep.layers.recurrence import gate_sums, peephole_step
from videorep.runs import Run

TRAINED, UNTRAINED = "trained", "decoder of random weights"
QUANTITIES = ("input gate", "forget gate", "output gate", "cell input", "cell state", "output")


def record_activity(run: Run, data: DataConfig | None = None, *, split: str = "test", steps: int = 100) -> dict:
    """What the top layer of a pretrained run does over one sequence: the encoder's, then the decoder's.

    A trained decoder goes on in a pattern that does not die out; one of random weights, begun from the same states,
    does not. The decoder is that of the future, or where there is none that of the reconstruction, which runs backwards
    through the input and on into the past.

    Args:
        data: DataConfig; the run's own where None.
        split: Name of the split; its first sequence is taken.
        steps: Frames that the decoder emits.
    Returns:
        dict: "activities" ({"trained" and "decoder of random weights": {quantity: (T + steps, units) float32}}) and
        "input_frames" (T; None for an autoencoder). The quantities are the input, forget and output gate, in [0, 1],
        the cell input tanh(W_xc x_t + W_hc h_{t-1} + b_c), the cell state c_t and the output h_t of the step that reads
        a frame, then of the step whose output a frame is read off: that of the decoder's first frame is the encoder's
        last, which stands there once more.
    Raises:
        RunError: as `predict_sequences`.
    Source: Srivastava et al. 2015, sections 2.1 and 3.2, figure 7.
    """
    inputs = predict_sequences(run, data, split=split, count=1)["inputs"]
    model = run.model()
    has_future = "future" in model.decoders
    decoder = model.decoders["future" if has_future else "reconstruction"]
    untrained = Decoder.from_config({**decoder.get_config(), "seed": run.config.training.seed})
    untrained.build()
    states, reading = [lstm.get_initial_state(1) for lstm in model.encoder], []
    for frame in ops.unstack(model.standardise(ops.convert_to_tensor(inputs)), axis=1):
        states, quantities = _advance(model.encoder, frame, states)
        reading.append(quantities)
    activities = {}
    for title, each in ((TRAINED, decoder), (UNTRAINED, untrained)):
        recorded = np.stack([*reading, reading[-1], *_run_on(each, states, steps - 1)], axis=1)
        activities[title] = dict(zip(QUANTITIES, recorded, strict=True))
    return {"activities": activities, "input_frames": model.config.input_frames if has_future else None}


def _run_on(decoder, states, steps):
    """The quantities of so many steps of a decoder, fed with its own output where it is fed."""
    for _ in range(steps):
        inputs = decoder.emitted(decoder.read_out(states[-1][0])) if decoder.conditional else None
        states, quantities = _advance(decoder.lstms, inputs, states)
        yield quantities


def _advance(lstms, inputs, states):
    """One step of stacked LSTMs, of a batch of 1: the new [h, c] of each, and (6, units), the quantities of the top."""
    new_states = []
    for lstm, (hidden, cell_state) in zip(lstms, states, strict=True):
        cell = lstm.cell
        recurrent_kernel, bias, peephole = cell.recurrent_weights()
        sums = gate_sums(hidden, recurrent_kernel, bias, cell.project(inputs) if cell.use_inputs else None)
        activations = cell.activation, cell.recurrent_activation
        hidden, cell_state, (i, f, candidate, o, _) = peephole_step(sums, cell_state, peephole, *activations)
        new_states.append([hidden, cell_state])
        inputs = hidden
    return new_states, ops.convert_to_numpy(ops.concatenate([i, f, o, candidate, cell_state, hidden]))
