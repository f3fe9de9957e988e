"""Which of many: drawn at random as a seed decides, or spread evenly. NumPy alone."""

import numpy as np


def make_generator(*entropy):
    """A NumPy generator that whole numbers of at least 0 decide."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def spread(count, most):
    """At most `most` of the numbers 0..count-1, evenly spread, ends included."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def draw_in_order(order, size, first, count):
    """Draws `first` to `first + count - 1` of the numbers 0..size-1 over and over, epoch e of them in `order(e)`."""
    epochs, places = np.divmod(np.arange(first, first + count), size)
    drawn = np.empty(count, np.int64)
    for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
        drawn[epochs == epoch] = order(epoch)[places[epochs == epoch]]
    return drawn
