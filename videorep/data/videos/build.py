"""Builds clip shards from videos: `build-shards clips`.

Every video ends up written, or listed in dataset.json with the reason why not. Decoding happens in worker processes.
"""

import contextlib
import functools

from videorep.build_config import ClipsConfig
from videorep.data.shards.parts import carry_out
from videorep.data.shards.plan import Recipe, Work
from videorep.data.shards.records import EncodedClip
from videorep.data.videos.encode import encode_in_worker
from videorep.data.videos.estimate import estimate_bytes
from videorep.data.videos.job import open_job, to_outcome


def build_clips(videos, out, config=ClipsConfig(), **choices):
    """Decodes videos into clip shards, one record per video or per piece of one.

    Shards depend on the videos, the options that shape content and the seed, not on the workers or on interruptions.

    Args:
        videos: Folder of videos (searched in depth, links followed), or a CSV of path[,start,end][,label].
        out: Folder to make or to complete.
        config: `ClipsConfig`.
        choices: See `videorep.data.shards.parts.carry_out`; a dry run finds, counts and decodes a few frames, to tell
            about how many bytes the shards take.
    Returns:
        `Dataset`; with `dry_run` a dict of what would be built.
    Raises:
        ConfigError: an unknown kind of labels or split.
        DataError: no videos, lists that do not fit, a leak between splits, or too many bad videos.
        OutputError, ShardError: see `carry_out`.
    """
    return carry_out(functools.partial(_open_work, videos, out, config), out, **choices)


@contextlib.contextmanager
def _open_work(videos, out, config, progress):
    with open_job(videos, out, config, progress) as job:

        def describe():
            return job.describe() | {"bytes": estimate_bytes(job.usable, config, job.pool)}

        recipe = Recipe(config.name, "clips", job.plan, job.labels, job.made("build-shards clips"))
        process = functools.partial(job.process, read=functools.partial(_decode, job))
        yield Work(recipe, process, job.check, describe)


def _decode(job, shards):
    """Yields the `Outcome` of each source of the shards, in order."""
    sources = [source for shard in shards for source in shard]
    with contextlib.closing(job.pool.map(encode_in_worker, map(job.task, sources))) as results:
        for source in sources:
            yield to_outcome(source, next(results), _record)


def _record(source, facts, data):
    return EncodedClip(data, **facts, path=source.path, label_index=source.label_index)
