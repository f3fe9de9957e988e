"""About how long a reproduction takes, by a rule that is told with it: what this machine does in some seconds."""

import itertools
import time

import numpy as np
import tensorflow as tf

from videorep.comparison.protocol import FOLDS
from videorep.comparison.recurrent import BATCH
from videorep.comparison.streams import FUTURE_FRAMES, INPUT_FRAMES
from videorep.data.percepts.engines import input_dtype, open_engine
from videorep.data.sampling import spread
from videorep.data.threads import count_cores
from videorep.data.videos.encode import measure_in_worker
from videorep.data.videos.workers import WorkerError, WorkerPool

SAMPLED, SIDE, AT_ONCE = 12, 1024, 8
FRAME_RATE = 25  # of the videos, which nobody looks at for an estimate
SHARE = 0.5  # of the speed of large products that training reaches
RULE = (
    f"length of the videos from {SAMPLED} of them, at {FRAME_RATE} frames per second; the convnet as fast as on "
    f"{AT_ONCE} frames just now; training 4 operations per weight and frame, at {SHARE:.0%} of the speed of a large "
    "matrix product just now; decoding, flow and logistic regression are left out"
)


def forecast_hours(data_sets, nets, scale):
    """{"video_hours", "convnet_hours", "training_hours", "rule"}.

    Args:
        data_sets: DataSets.
        nets: {stream: Backbone}.
        scale: Scale.
    """
    seconds = sum(map(_seconds_of_video, data_sets))
    convnet = sum(seconds * FRAME_RATE * _seconds_per_frame(net) for net in nets.values())
    operations = sum(_operations(each, nets, scale) for each in data_sets)
    training = operations / (SHARE * _operations_per_second())
    hours = {"video_hours": seconds, "convnet_hours": convnet, "training_hours": training}
    return {name: round(value / 3600, 2) for name, value in hours.items()} | {"rule": RULE}


def _seconds_of_video(data_set):
    paths = sorted({path for chosen in data_set.splits.values() for path in chosen})
    some = [paths[number] for number in spread(len(paths), SAMPLED)]
    with WorkerPool(count_cores(), 60.0) as pool:
        results = list(pool.map(measure_in_worker, [(f"{data_set.videos}/{path}",) for path in some]))
    known = [result[0][0] for result in results if not isinstance(result, WorkerError) and result[0][0]]
    return len(paths) * float(np.mean(known)) if known else 0.0


def _seconds_per_frame(net):
    images = np.zeros((AT_ONCE, net.size, net.size, net.channels), input_dtype(net))
    engine = open_engine(net, AT_ONCE, alone=True)
    return _time(lambda: engine.run(images)) / AT_ONCE


def _operations_per_second():
    matrix = tf.ones((SIDE, SIDE))
    return 2 * SIDE**3 / _time(lambda: tf.matmul(matrix, matrix).numpy())


def _time(work):
    work()
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _operations(data_set, nets, scale):
    """Of all pretrainings and of the classifiers' trainings on every split, every number of labels and every draw."""
    total = 0
    for stream, net in nets.items():
        widths = [net.features, *[scale.units] * scale.layers]
        weights = sum(4 * units * (below + units) for below, units in itertools.pairwise(widths))
        pretrained = len(scale.models) if stream == "rgb" else 1
        decoded = scale.pretraining.steps * scale.pretraining.batch_size * (INPUT_FRAMES + FUTURE_FRAMES)
        trainings = (len(scale.videos_per_class) + 2) * (scale.draws + FOLDS * scale.trials)
        seen = trainings * scale.steps[-1] * BATCH * INPUT_FRAMES
        total += 4 * weights * (pretrained * decoded + (1 + pretrained) * seen)
    return total * len(data_set.splits)
