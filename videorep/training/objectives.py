"""What training minimises: from a model and a batch to one loss per example and its parts. Keras operations only."""

from keras import ops

from videorep.models.averaging import average_steps
from videorep.models.pixels import to_unit_range


def encoder_decoder_objective(model, feeding="teacher"):
    """The sum of the decoders' losses.

    Args:
        model: EncoderDecoder.
        feeding: "teacher" feeds conditional decoders the true previous frame, "own" their own output.
    Returns:
        A function of a batch {"frames": (B, T + F, D)} and `training` that gives the loss (B,) and its parts, a dict
        of (B,) arrays, all per frame; see `EncoderDecoder.frame_losses`.
    """
    length = model.config.input_frames

    def objective(batch, training=True):
        frames = batch["frames"]
        parts = model.frame_losses(frames[:, :length], frames[:, length:], training and feeding == "teacher")
        return sum(parts.values()), parts

    return objective


def classifier_objective(model):
    """Cross entropy of the video's label at every step that is not padding, averaged over a block's steps.

    Returns:
        A function of a batch {"frames": (B, T, D), "mask": (B, T), "label": (B,)} and `training` that gives the loss
        (B,), nats, and its parts: the loss again and the accuracy of the steps' averaged probabilities.
    Source: Srivastava et al. 2015, section 3.3.
    """

    def objective(batch, training=True):
        label, mask = batch["label"], batch["mask"]
        probabilities = model({"frames": to_unit_range(batch["frames"])}, training=training)
        loss = model.block_losses(probabilities, label, mask)
        best = ops.argmax(average_steps(probabilities, mask), axis=-1)
        accuracy = ops.cast(ops.equal(best, ops.cast(label, "int32")), "float32")
        return loss, {"cross_entropy_per_block": loss, "block_accuracy": accuracy}

    return objective
