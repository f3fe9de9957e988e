"""Python functions in tf.data streams, and their errors: TensorFlow makes another error of what one of them raises.

`call_python` remembers the VideorepErrors; whoever iterates over a `ReadableDataset`, or through `readable`, gets the
error itself.
"""

import collections
import contextlib

import tensorflow as tf

from videorep.data.background import release_iterators_at_exit
from videorep.errors import ShardError, VideorepError

_raised = collections.deque(maxlen=64)
# TensorFlow's words quote the record; where its bytes are no Unicode, Python cannot even make the error.
DATA_ERRORS = (tf.errors.InvalidArgumentError, tf.errors.DataLossError, tf.errors.NotFoundError, UnicodeDecodeError)


def call_python(function, inputs, types):
    """`tf.numpy_function` of a function without a state of its own."""
    release_iterators_at_exit()

    def call(*arguments):
        try:
            return function(*arguments)
        except VideorepError as error:
            _raised.append(error.with_traceback(None))
            raise RuntimeError(_printable(error)) from None

    return tf.numpy_function(call, inputs, types, stateful=False)


def _printable(error):
    """Its sentence as TensorFlow can carry it: names of files need not be Unicode."""
    return str(error).encode("utf-8", "backslashreplace").decode()


@contextlib.contextmanager
def original_errors():
    """Raises the VideorepError that a Python function of a stream raised, in place of TensorFlow's."""
    earlier = set(map(id, _raised))
    try:
        yield
    except tf.errors.OpError as error:
        for original in _raised:
            if _printable(original) in error.message:
                raise original from None
        # Where several fail at once, TensorFlow may lose what they said.
        if isinstance(error, tf.errors.UnknownError) and (recent := [e for e in _raised if id(e) not in earlier]):
            raise recent[0] from None
        raise


def readable(elements):
    """Passes a stream's elements on, and its Python functions' errors as they were."""
    with original_errors():
        yield from elements


class ReadableDataset(tf.data.Dataset):
    """A `tf.data.Dataset` whose Python functions' errors reach whoever iterates over it as they were.

    What is made of it by `map`, `batch` and the like is a plain Dataset again, whose errors carry the same sentence.

    Args:
        dataset: The dataset.
        advice: What to do about records that TensorFlow cannot read, whose error becomes a ShardError; None where it
            reads none.
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
