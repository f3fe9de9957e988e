"""From video files to clip shards: find, label, cut, decode, encode. Workers import this: no TensorFlow here."""
