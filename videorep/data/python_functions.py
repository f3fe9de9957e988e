"""Python functions in tf.data streams, and their errors: none is raised through TensorFlow.

TensorFlow makes another error of what one of them raises, whose traceback keeps the stream and its threads alive: they
were seen to crash the process later, or at its end. So `call_python` keeps a VideorepError and lets an operation of the
graph fail in its place; whoever iterates over a `ReadableDataset`, or through `readable`, gets the error itself.
"""

import itertools
import re

import numpy as np
import tensorflow as tf

from videorep.data.threads import release_iterators_at_exit
from videorep.errors import ShardError, VideorepError

_KEPT = 64  # more than fail at once, in as many threads as there are cores
_MARK = re.compile(r"\(error \d+ of a Python function\)")
_raised = {}  # the last errors, by their marks
_numbers = itertools.count()
# TensorFlow's words quote the record; where its bytes are no Unicode, Python cannot even make the error.
DATA_ERRORS = (tf.errors.InvalidArgumentError, tf.errors.DataLossError, tf.errors.NotFoundError, UnicodeDecodeError)


def call_python(function, inputs, types):
    """`tf.numpy_function` of a function without a state of its own, for use in a tf.data stream."""
    release_iterators_at_exit()
    several = isinstance(types, (tuple, list))
    types = [tf.as_dtype(of) for of in (types if several else [types])]

    def call(*arguments):
        try:
            outputs = function(*arguments)
        except VideorepError as error:
            return *(np.zeros(0, of.as_numpy_dtype) for of in types), _keep(error)
        return *(outputs if several else [outputs]), b""

    *outputs, failure = tf.numpy_function(call, inputs, [*types, tf.string], stateful=False)
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(failure, b""), [failure])]):
        outputs = [tf.identity(output) for output in outputs]
    return outputs if several else outputs[0]


def _keep(error):
    """Keeps an error; its sentence and mark as TensorFlow carries them: names of files need not be Unicode."""
    mark = f"(error {next(_numbers)} of a Python function)"
    _raised[mark] = error.with_traceback(None)
    for earlier in list(_raised)[:-_KEPT]:
        _raised.pop(earlier, None)
    return f"{error} {mark}".encode("utf-8", "backslashreplace")


def readable(elements):
    """Passes a stream's elements on, and raises the VideorepError that one of its Python functions raised."""
    try:
        yield from elements
        return
    except tf.errors.InvalidArgumentError as error:
        mark = _MARK.search(error.message)
        failed = [_raised.pop(mark.group(), None)] if mark else [None]
        if failed == [None]:
            raise
    # Let go of, and raised with no context: either would keep the stream and its threads alive.
    raise failed.pop()


class ReadableDataset(tf.data.Dataset):
    """A `tf.data.Dataset` whose Python functions' errors reach whoever iterates over it as they were.

    What is made of it by `map`, `batch` and the like is a plain Dataset again, whose errors carry the same sentence.
    Of records that TensorFlow cannot read a ShardError gives the `advice`; None where it reads none.
    """

    def __init__(self, dataset, advice=None):
        self._dataset, self._advice = dataset, advice
        super().__init__(dataset._variant_tensor)

    def _inputs(self):
        return [self._dataset]

    @property
    def element_spec(self):
        return self._dataset.element_spec

    def __iter__(self):
        return self._elements(super().__iter__())

    def _elements(self, iterator):
        try:
            yield from readable(iterator)
        except DATA_ERRORS as error:
            if self._advice is None:
                raise
            reason = getattr(error, "message", "a record of texts that are not UTF-8").splitlines()[0]
            raise ShardError(f"expected readable records, received: {reason}; {self._advice}") from error
