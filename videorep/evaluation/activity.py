"""What the units of a pretrained model do while it reads a sequence and then runs on by itself."""

import numpy as np
from keras import ops

from videorep.evaluation.future_prediction import predict_sequences
from videorep.models import EncoderDecoder
from videorep.models.encoding import top_states

TRAINED, UNTRAINED = "trained", "decoder of random weights"


def record_activity(run, data=None, *, split="test", steps=100):
    """Hidden activity of the top layer of a pretrained run over one sequence: the encoder's, then the decoder's.

    A trained decoder goes on in a pattern that does not die out; one of random weights, begun from the same states,
    does not. An autoencoder's decoder runs as far as the input.

    Args:
        data: DataConfig; the run's own where None.
        split: Name of the split; its first sequence is taken.
        steps: Future frames to run on for.
    Returns:
        dict: "activities" ({title: (T + steps, units) float32}, one row per frame: h after an input frame, or that from
        which a frame is read out) and "input_frames" (T; None for an autoencoder).
    Source: Srivastava et al. 2015, section 3.2 and figure 7.
    """
    inputs = predict_sequences(run, data, split=split, count=1)["inputs"]
    model = run.model()
    has_future = "future" in model.decoders
    branch = "future" if has_future else "reconstruction"
    model = model.with_horizon(steps)
    encoder = ops.convert_to_numpy(top_states(model, inputs))[0]
    activities = {
        title: np.concatenate([encoder, _decoder_activity(each, branch, inputs)])
        for title, each in ((TRAINED, model), (UNTRAINED, _with_random_decoders(model, run.config.training.seed)))
    }
    return {"activities": activities, "input_frames": model.config.input_frames if has_future else None}


def _with_random_decoders(model, seed):
    """The same encoder with new decoders."""
    other = EncoderDecoder(model.config, seed=seed)
    for trained, lstm in zip(model.encoder, other.encoder, strict=True):
        lstm.set_weights(trained.get_weights())
    if model.standardisation:
        other.standardisation.set_weights(model.standardisation.get_weights())
    return other


def _decoder_activity(model, branch, inputs):
    """(F, units), in the order in which the decoder emits; its first frame is read off the encoder's last state."""
    return ops.convert_to_numpy(model.decoders[branch].hiddens(model.encode(inputs)))[:, 0]
