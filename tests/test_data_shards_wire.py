"""videorep.data.shards.wire against protobuf's own serialization."""

import hypothesis.strategies as st
import numpy as np
import tensorflow as tf
from hypothesis import given, settings

from videorep.data.shards import wire

INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(width=32, allow_nan=False)
FEATURES = st.one_of(
    st.tuples(st.just("bytes"), st.lists(st.binary(max_size=300), max_size=4)),
    st.tuples(st.just("ints"), st.lists(INTS, min_size=1, max_size=4)),
    st.tuples(st.just("floats"), st.lists(FLOATS, min_size=1, max_size=4)),
)
# No key is the beginning of another, as in the schema: implementations of protobuf order such keys differently.
KEYS = st.text(st.characters(codec="utf-8", exclude_characters="."), max_size=12).map(lambda text: text + ".")
MAPS = st.dictionaries(KEYS, FEATURES, max_size=5)
LISTS = st.dictionaries(KEYS, st.lists(FEATURES, min_size=1, max_size=4), min_size=1, max_size=3)


def ours(feature):
    kind, values = feature
    return {"bytes": wire.bytes_feature, "ints": wire.ints_feature, "floats": wire.floats_feature}[kind](*values)


def protobufs(feature):
    kind, values = feature
    if kind == "bytes":
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if kind == "ints":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


@settings(deadline=None, max_examples=50)
@given(MAPS)
def test_examples_equal_protobufs(features):
    message = tf.train.Features(feature={key: protobufs(feature) for key, feature in features.items()})
    expected = tf.train.Example(features=message).SerializeToString(deterministic=True)
    assert wire.example_bytes({key: ours(feature) for key, feature in features.items()}) == expected


@settings(deadline=None, max_examples=50)
@given(MAPS, LISTS)
def test_sequence_examples_equal_protobufs(context, lists):
    message = tf.train.SequenceExample(
        context=tf.train.Features(feature={key: protobufs(feature) for key, feature in context.items()}),
        feature_lists=tf.train.FeatureLists(
            feature_list={
                key: tf.train.FeatureList(feature=[protobufs(feature) for feature in features])
                for key, features in lists.items()
            }
        ),
    )
    steps = {key: [ours(feature) for feature in features] for key, features in lists.items()}
    got = wire.sequence_example_bytes({key: ours(feature) for key, feature in context.items()}, steps)
    assert got == message.SerializeToString(deterministic=True)


def test_large_values_keep_their_length():
    image = np.random.default_rng(0).bytes(1 << 18)
    data = wire.sequence_example_bytes({}, {"image/encoded": [wire.bytes_feature(image)] * 3})
    feature = tf.train.SequenceExample.FromString(data).feature_lists.feature_list["image/encoded"].feature
    assert [step.bytes_list.value[0] for step in feature] == [image] * 3
