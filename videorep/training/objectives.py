"""What training minimises: from a model and a batch to one loss per example and its parts. Keras operations only."""

from keras import ops

from videorep.models.averaging import average_steps
from videorep.models.pixels import to_unit_range


def encoder_decoder_objective(model, feeding="teacher"):
    """The sum of the decoders' losses.

    Args:
        model: EncoderDecoder.
        feeding: "teacher" feeds conditional decoders the true previous frame, "own" their own output. "scheduled" feeds
            the true frames that a batch's "shown" names, (B, T + F) bool; see `videorep.training.feeding`.
    Returns:
        A function of a batch {"frames": (B, T + F, D)} and `training` that gives the loss (B,) and its parts, a dict
        of (B,) arrays, all per frame; see `EncoderDecoder.frame_losses`.
    """
    length = model.config.input_frames

    def objective(batch, training=True):
        frames = batch["frames"]
        teacher_forced = batch["shown"] if feeding == "scheduled" else feeding == "teacher"
        parts = model.frame_losses(frames[:, :length], frames[:, length:], training and teacher_forced)
        return sum(parts.values()), parts

    return objective


def classifier_objective(model):
    """Cross entropy of the label of the video, or of each frame, at the steps that are not padding or at their last.

    Returns:
        A function of a batch {"frames": (B, T, D), "mask": (B, T), "label": (B,) or (B, T)} and `training` that gives
        the loss (B,), nats (see `Classifier.block_losses`), and its parts: the loss again and the accuracy of the
        steps' averaged probabilities; of labels of frames, the share of steps that are right.
    Source: Srivastava et al. 2015, section 3.3.
    """

    def objective(batch, training=True):
        label, mask = batch["label"], batch["mask"]
        probabilities = model({"frames": to_unit_range(batch["frames"])}, training=training)
        loss = model.block_losses(probabilities, label, mask)
        of_frames = len(label.shape) == 2
        best = ops.argmax(probabilities if of_frames else average_steps(probabilities, mask), axis=-1)
        right = ops.cast(ops.equal(best, ops.cast(label, "int32")), "float32")
        accuracy = {"frame_accuracy": average_steps(right, mask)} if of_frames else {"block_accuracy": right}
        return loss, {"cross_entropy_per_block": loss} | accuracy

    return objective
