"""The one place that averages over the steps of a block, or takes the last."""

from keras import ops


def average_steps(values, mask):
    """Means (B, ...) over the steps of values (B, T, ...), weighted by a mask (B, T); 0 where no step counts.

    Source: Srivastava et al. 2015, section 3.3.
    """
    weights = ops.cast(mask, values.dtype)
    weights = weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1e-7)
    return ops.einsum("bt...,bt->b...", values, weights)


def last_step(mask):
    """(B, T) bool: True at the last step that counts alone; `mask` as for `average_steps`."""
    steps = ops.arange(ops.shape(mask)[1], dtype="int32")
    last = ops.max(ops.where(ops.cast(mask, "float32") > 0, steps, -1), axis=1, keepdims=True)
    return ops.equal(steps, last)
