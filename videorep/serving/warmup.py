"""Requests that TensorFlow Serving answers before it says that a model is loaded, so that no user waits for the first.

At most 1,000 records; a malformed one would keep the server from loading the model (tensorflow/serving#1562).
"""

import tensorflow as tf

from videorep.serving.probe import WARM_UP

NOT_WRITTEN = "no warm-up was written: it needs tensorflow-serving-api; pip install 'videorep[serving]'"


def write_warm_up(folder, requests):
    """Writes `Request`s as PredictionLog records into a SavedModel's folder; False without tensorflow-serving-api."""
    try:
        from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
    except ImportError:
        return False
    path = folder / WARM_UP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for each in requests:
            record = PredictionLog()
            request = record.predict_log.request
            request.model_spec.signature_name = each.signature
            for name, array in each.inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
            writer.write(record.SerializeToString())
    return True
