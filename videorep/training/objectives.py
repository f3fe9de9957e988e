"""What training minimises: from a model and a batch to one loss per example and its parts. Keras operations only."""

from keras import ops

from videorep.training.losses import FRAME_LOSS_NAMES, FRAME_LOSSES, to_model_input


def encoder_decoder_objective(model, feeding="teacher"):
    """The sum of the decoders' losses, of equal weight (paper section 2.5).

    Args:
        model: EncoderDecoder.
        feeding: "teacher" feeds conditional decoders the true previous frame, "own" their own output.
    Returns:
        A function of a batch {"frames": (B, T + F, D)} and `training` that gives the loss (B,) and its parts, a dict
        of (B,) arrays, all per frame.
    """
    config = model.config
    frame_loss, loss_name = FRAME_LOSSES[config.output], FRAME_LOSS_NAMES[config.output]
    if config.standardise:
        loss_name = f"standardised_{loss_name}"

    def objective(batch, training=True):
        frames = batch["frames"]
        inputs, future = frames[:, : config.input_frames], frames[:, config.input_frames :]
        targets = {"reconstruction": inputs, "future": future}
        teacher = None
        if feeding == "teacher" and training:
            teacher = {branch: to_model_input(targets[branch]) for branch in config.conditional}
        parts = {}
        for branch, hiddens in model.hiddens(to_model_input(inputs), teacher).items():
            decoder, target = model.decoders[branch], targets[branch]
            target = model.standardise(to_model_input(target)) if config.standardise else target
            kernel = ops.cast(decoder.output_kernel, decoder.compute_dtype)
            # The frames are put into the order of the hidden states: they wait for nothing, bytes if they are pixels.
            losses = frame_loss(hiddens, kernel, decoder.output_bias, decoder.emission_order(target))
            parts[f"{branch}_{loss_name}"] = ops.mean(losses, axis=0)
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
        probabilities = model({"frames": to_model_input(batch["frames"])}, training=training)
        mask = ops.cast(batch["mask"], "float32")
        weights = mask / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
        label = batch["label"]
        wanted = ops.one_hot(label, probabilities.shape[-1], dtype="float32")
        likelihood = ops.sum(probabilities * wanted[:, None], axis=-1)
        loss = -ops.sum(weights * ops.log(ops.maximum(likelihood, 1e-7)), axis=1)
        averaged = ops.sum(probabilities * weights[..., None], axis=1)
        accuracy = ops.cast(ops.equal(ops.argmax(averaged, axis=-1), ops.cast(label, "int32")), "float32")
        return loss, {"cross_entropy_per_block": loss, "block_accuracy": accuracy}

    return objective
