"""About how many bytes clip shards will take, told from a few frames of a few videos before a build."""

import dataclasses

from videorep.data.sampling import spread
from videorep.data.videos.encode import sample_bytes_in_worker
from videorep.data.videos.workers import WorkerError

VIDEOS = 12
LOW_QUALITY, SHORT_SIDE = 75, 240  # what the advice offers; the paper's frames are 240 pixels high


def advise(config):
    """The encodings to compare, by what to give for them: the one that was asked for ("") and smaller ones."""
    choices = {"": config}
    if config.quality is None or config.quality > LOW_QUALITY:
        choices[f"--quality {LOW_QUALITY}"] = dataclasses.replace(config, quality=LOW_QUALITY)
    if config.size is None:
        choices[f"--size {SHORT_SIDE}"] = dataclasses.replace(config, size=SHORT_SIDE)
    return choices


def estimate_bytes(videos, config, pool):
    """About how many bytes the shards of these videos take, and with smaller encodings, from at most `VIDEOS` of them.

    Whole videos are taken to grow in proportion to their files, pieces to be alike. The same videos give the same
    numbers: a dict to print, {} where no video can be read.
    """
    choices = advise(config)
    chosen = [videos[index] for index in spread(len(videos), VIDEOS)]
    configs = list(choices.values())
    results = pool.map(sample_bytes_in_worker, ((v.file.path, configs, v.start, v.end) for v in chosen))
    whole = all(video.start is None and video.end is None for video in videos)
    measured, weight = [], 0
    for video, result in zip(chosen, results, strict=True):
        if not isinstance(result, WorkerError) and result[0]:
            measured.append(result[0])
            weight += video.file.size if whole else 1
    if not measured:
        return {}
    total = sum(video.file.size for video in videos) if whole else len(videos)
    about = [sum(sizes) * total / weight for sizes in zip(*measured, strict=True)]
    smaller = {
        f"shards_with_{choice}": _round(value)
        for choice, value in zip(choices, about, strict=True)
        if choice and value < 0.9 * about[0]
    }
    files = {video.file.path: video.file.size for video in videos}
    return {"videos": sum(files.values()), "shards_about": _round(about[0])} | smaller


def _round(value):
    """Two digits: an estimate knows no more."""
    return int(float(f"{value:.1e}"))
