"""Gradients between tape and optimizer, against NumPy in float64."""

import numpy as np
import pytest
import tensorflow as tf

from videorep.training.gradients import before_cast, global_norm


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_global_norm_is_that_of_float64(dtype):
    rng = np.random.default_rng(0)
    shapes = ((), (5,), (8,), (3, 7), (16, 9), (64, 300))
    gradients = [tf.cast(10 * rng.normal(size=shape), dtype) for shape in shapes]
    values = [tf.cast(each, tf.float64).numpy() for each in gradients]
    wanted = np.sqrt(sum(np.sum(each**2) for each in values))
    assert global_norm(gradients).dtype == tf.float32
    np.testing.assert_allclose(global_norm(gradients), wanted, rtol=1e-6)


def test_global_norm_of_half_precision_neither_overflows_nor_stalls():
    # 65536 ones: a sum in bfloat16 stays at 256, their number is no float16.
    for dtype, value in (("bfloat16", 1.0), ("float16", 100.0)):
        gradient = tf.cast(tf.fill((256, 256), value), dtype)
        np.testing.assert_allclose(global_norm([gradient]), 256 * value, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_before_cast_is_the_same_gradient_in_the_products_dtype(dtype):
    rng = np.random.default_rng(1)
    weights, rows = tf.Variable(rng.normal(size=(4, 3)).astype("float32")), tf.constant(rng.normal(size=(5, 4)), dtype)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(tf.cast(rows @ tf.cast(weights, dtype), tf.float32) ** 2)
        gradient = tape.gradient(total, weights)
        return gradient, before_cast(gradient)

    wide, narrow = gradients()
    assert wide.dtype == tf.float32 and narrow.dtype == dtype
    np.testing.assert_array_equal(wide, tf.cast(narrow, tf.float32))


def test_before_cast_leaves_gradients_that_were_cast_down_or_not_at_all():
    @tf.function
    def gradients():
        weights = tf.constant([1.0, 2.0])
        wider = tf.cast(tf.cast(weights, tf.float64) * (1 / 3), tf.float32)
        return weights * 2.0, before_cast(weights * 2.0), wider, before_cast(wider)

    plain, same, lossy, still = gradients()
    np.testing.assert_array_equal(plain, same)
    assert still.dtype == tf.float32
    np.testing.assert_array_equal(lossy, still)
