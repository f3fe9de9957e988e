"""From a layer's values at its positions to one row per frame: their mean, all of them, or the means of cells.

"mean": over all positions. "none": every position, row by row, D = H * W * C. "grid:RxC": the frame is cut into R x C
cells, as equal as whole positions allow, and each is averaged: D = R * C * channels, cell by cell, row by row.
"""

import itertools
import math

import tensorflow as tf

from videorep.errors import BackboneError


def pool_positions(values, pool):
    """The values (B, ..., C) of a layer as (B, D)."""
    positions = list(range(1, values.shape.rank - 1))
    if pool.startswith("grid:"):
        rows, columns = (_edges(size, cells) for size, cells in zip(values.shape[1:3], _cells(pool), strict=True))
        cells = [values[:, top:bottom, left:right] for top, bottom in rows for left, right in columns]
        return tf.concat([tf.reduce_mean(cell, positions) for cell in cells], axis=-1)
    if pool == "none":
        return tf.reshape(values, (-1, math.prod(values.shape[1:])))
    return tf.reduce_mean(values, positions) if positions else values


def pooled_width(shape, layer, pool, name):
    """D of a layer of the convnet `name` whose values have the shape (B, ..., C); a BackboneError where it has none."""
    where = f"layer {layer} of {name}"
    positions = shape[1:-1]
    if pool != "mean" and len(positions) != 2:
        raise BackboneError(
            f"expected positions in rows and columns in {where} for --pool {pool}, received values {shape}; name "
            "another --layer, or leave --pool out"
        )
    if pool == "mean":
        return shape[-1]
    cells = positions if pool == "none" else _cells(pool)
    if any(count > size for count, size in zip(cells, positions, strict=True)):
        raise BackboneError(
            f"expected at most {positions[0]}x{positions[1]} cells, the positions of {where}, received --pool {pool}; "
            "take fewer"
        )
    return math.prod(cells) * shape[-1]


def _cells(pool):
    """The rows and columns of "grid:RxC"."""
    return [int(count) for count in pool.removeprefix("grid:").split("x")]


def _edges(size, cells):
    """(first, end) of each of `cells` parts of `size` positions."""
    return list(itertools.pairwise(size * number // cells for number in range(cells + 1)))
