"""What a comparison will take, told by a dry run: numbers of trainings, time, memory and disk. Nothing is written."""

from videorep.comparison.linear import PENALTIES, Linear
from videorep.comparison.protocol import count_trainings, make_folds
from videorep.comparison.recurrent import Recurrent
from videorep.progress import format_seconds
from videorep.training.forecast import FLOAT, format_bytes, measure_cost, peak_memory

DROPOUTS = 2  # models of a recurrent contender, each with a copy of the frames
NOT_COUNTED = "reading, compiling, states of frozen encoders, fusion and the page"


def forecast(config, contenders, jobs, counts):
    """Measures one training of each kind of contender with all labels, and multiplies by the trainings to come.

    A logistic regression takes time in proportion to its training videos, an LSTM the same with few of them.

    Args:
        config: CompareConfig.
        contenders: {name: contender}.
        jobs: `Job`s of the models that are pretrained first.
        counts: Numbers of labelled videos per class, 0 for all.
    Returns:
        dict of words and numbers for `print_facts`.
    """
    measured, trainings, seconds = {}, {Linear: 0, Recurrent: 0}, {Linear: 0.0, Recurrent: 0.0}
    costs = [measure_cost(job) for job in jobs]
    for each in (each for each in contenders.values() if type(each) in trainings):
        kind, videos = type(each), each.videos
        alike = (kind, videos.folder, each.features.shape if kind is Linear else each.shape.units)
        if alike not in measured:
            measured[alike] = each.seconds(videos.training, videos.test)
        most, classes = len(videos.training), len(videos.classes)
        shares = [min(count * classes, most) / most if kind is Linear and count else 1 for count in counts]
        of_count = count_trainings(each, len(make_folds(videos, config.seed)), config)
        trainings[kind] += len(counts) * of_count
        seconds[kind] += sum(shares) * of_count * measured[alike]
    pretraining = config.pretrain_steps * sum(cost.seconds for cost in costs)
    least = "" if all(cost.is_measured for cost in costs) else "at least "
    time = least + format_seconds(pretraining + sum(seconds.values()))
    frames = sum(each.videos.frames.nbytes for each in contenders.values() if type(each) is Recurrent)
    rows = len(videos.training) + config.draws * len(videos.test)
    tables = len(contenders) * len(counts) * rows * classes * FLOAT
    return {
        "pretrainings": len(jobs),
        "trainings_of_lstms": trainings[Recurrent],
        "logistic_regressions": trainings[Linear] * len(PENALTIES),
        "forecast": {
            "pretraining": least + format_seconds(pretraining),
            "lstms": format_seconds(seconds[Recurrent]),
            "logistic_regressions": format_seconds(seconds[Linear]),
            "time": f"{time} on this machine, as busy as it is now",
            "not_counted": NOT_COUNTED,
            "memory": format_bytes(peak_memory() + DROPOUTS * frames),
            "disk": format_bytes(tables + sum(cost.disk for cost in costs)),
        },
    }
