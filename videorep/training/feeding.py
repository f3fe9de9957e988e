"""Scheduled sampling: as training goes on, conditional decoders are shown fewer true frames."""

import tensorflow as tf

from videorep.data.python_functions import ReadableDataset


class ScheduledSource:
    """A source whose training batches say which true frames conditional decoders are fed with.

    Each is drawn by itself, with a probability that falls linearly: step k of `steps` shows a share 1 - k / steps, all
    at the first. The draws of a step depend on the seed and its number alone, so that a resumed run goes on with them.

    Args:
        source: Source of batches {"frames": (B, frames, D)}.
        frames: T + F, frames of a sequence.
        steps: Steps of the run.
    Source: Bengio et al. 2015, "Scheduled sampling for sequence prediction with recurrent neural networks", section
        2.4, linear decay; the coin is flipped for every frame of every sequence.
    """

    def __init__(self, source, frames, steps):
        self._source, self._frames, self._steps = source, frames, steps
        self.provenance = source.provenance

    def training(self, batch_size, seed, start_step=0, part=None):
        """The source's batches, each with "shown", (B, frames) bool, beginning with that of step `start_step`."""
        part = part or range(batch_size)

        def draw(batch, step):
            draws = tf.random.stateless_uniform((batch_size, self._frames), (seed, step), dtype=tf.float64)
            return {**batch, "shown": draws[part.start : part.stop] >= step / self._steps}

        batches = self._source.training(batch_size, seed, start_step, part)
        return ReadableDataset(tf.data.Dataset.zip(batches, tf.data.Dataset.counter(start_step)).map(draw))
