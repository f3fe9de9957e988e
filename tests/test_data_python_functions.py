"""Python functions within tf.data: their errors come out as they were, from any number of threads."""

import contextlib
import gc

import pytest
import tensorflow as tf

from videorep.data.python_functions import ReadableDataset, call_python
from videorep.errors import ShardError


def test_errors_of_python_functions_come_out_as_they_were_and_name_paths_that_are_not_unicode():
    original = ShardError("expected caf\udce9, received " + 3000 * "x")

    def fail(number):
        if number == 3:
            raise original
        return number

    numbers = tf.data.Dataset.range(6).map(lambda n: call_python(fail, [n], tf.int64), num_parallel_calls=2)
    received = []
    with pytest.raises(ShardError) as caught:
        for number in ReadableDataset(numbers.batch(1).prefetch(2)):
            received.append(int(number[0]))
    assert caught.value is original and received == [0, 1, 2]
    assert ReadableDataset(numbers).element_spec == numbers.element_spec
    with pytest.raises(tf.errors.OpError, match="expected caf"):
        list(ReadableDataset(numbers).batch(2))


def test_python_functions_that_fail_in_many_threads_at_once_do_not_crash_the_process():
    def fail(number):
        if number % 2:
            raise ShardError(f"expected an even number, received {number}" + 300 * "x")
        return number

    numbers = tf.data.Dataset.range(4000).map(lambda n: call_python(fail, [n], tf.int64), num_parallel_calls=16)
    assert list(numbers.ignore_errors().as_numpy_iterator()) == list(range(0, 4000, 2))


def test_a_stream_that_failed_is_let_go_of_with_its_threads():
    def fail(number):
        raise ShardError("expected a frame, received none")

    def iterators():
        return sum(issubclass(type(one), tf.data.Iterator) for one in gc.get_objects())  # proxies may be dead

    before = iterators()
    endless = tf.data.Dataset.counter().map(lambda n: call_python(fail, [n], tf.int64), num_parallel_calls=2)
    with contextlib.suppress(ShardError):
        next(iter(ReadableDataset(endless)))
    assert iterators() == before
