"""What a model's encoder knows of the frames that it has read."""

from keras import ops

from videorep.models.encoder_decoder import EncoderDecoder


def top_states(model, frames):
    """The top layer's h after each of the frames (B, T, D): (B, T, units) float32; a `Classifier` must have LSTMs."""
    sequence = ops.swapaxes(model.standardisation(frames) if model.standardisation else frames, 0, 1)
    for lstm in model.encoder if isinstance(model, EncoderDecoder) else model.lstms:
        state = lstm.get_initial_state(ops.shape(sequence)[1])
        sequence, _ = lstm.run(state, ops.cast(sequence, lstm.compute_dtype))
    return ops.swapaxes(sequence, 0, 1)
