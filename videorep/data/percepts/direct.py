"""Percepts straight from videos, without clip shards in between: `build-shards percepts VIDEOS`."""

import collections
import contextlib
import dataclasses
import functools
import itertools

import numpy as np

from videorep.build_config import ClipsConfig
from videorep.data.percepts.build import COMMAND, extract_batch, open_net, require_finite
from videorep.data.percepts.flow import require_longer
from videorep.data.percepts.inputs import FrameInputs, ReceivedInputs
from videorep.data.shards.parts import carry_out
from videorep.data.shards.plan import Recipe, Work
from videorep.data.shards.records import Percept
from videorep.data.threads import map_ahead
from videorep.data.videos.encode import stream_in_worker
from videorep.data.videos.job import open_job, to_outcome


def build_percepts_of_videos(videos, out, config, clips=ClipsConfig(), **choices):
    """Decodes videos and writes one percept, a (T, D) array, per video or piece; frames are never compressed.

    Which videos and pieces there are, their labels, splits, order and shards, and what is said of those that are left
    out, are those of `videorep.data.videos.build.build_clips`. Worker processes decode, threads scale, and others run
    the convnet while shards are written. Shards do not depend on the workers or on interruptions.

    Args:
        videos, out: As for `build_clips`.
        config: `PerceptsConfig`.
        clips: `ClipsConfig` without `quality` and `name`.
        choices: See `videorep.data.shards.parts.carry_out`; a dry run finds and counts.
    Returns:
        `Dataset`; with `dry_run` a dict of what would be built.
    Raises:
        BackboneError: the convnet or its engine cannot be had, it does not fit the stream, or its values `dtype`.
        ConfigError, DataError: see `build_clips`.
        ShardError: no video is long enough for a stack of flow; or see `carry_out`.
        OutputError: see `carry_out`.
    """
    return carry_out(functools.partial(_open_work, videos, out, config, clips), out, **choices)


@contextlib.contextmanager
def _open_work(videos, out, config, clips, progress):
    net, engine, settings, stage = open_net(config)
    with open_job(videos, out, dataclasses.replace(clips, quality=None), progress) as job:
        made = job.made(COMMAND)
        made["stages"] = {"clips": made["settings"], "percepts": stage}
        made["settings"] = settings | made["settings"]
        recipe = Recipe("percepts", "percepts", job.plan, job.labels, made)

        def check(entries):
            job.check(entries)
            if len(entries) == len(job.paths):
                require_longer(videos, [entry.get("frames", 0) for entry in entries], settings["flow_stack"])

        def describe():
            return job.describe() | {"features": net.features, "settings": settings}

        read = _Extraction(engine, net.size, job, settings).read
        yield Work(recipe, functools.partial(job.process, read=read), check, describe)


class _Extraction:
    """From the sources of shards to outcomes: the `read` of `Job.process`."""

    def __init__(self, engine, size, job, settings):
        self._engine, self._job, self._inputs = engine, job, FrameInputs(size, settings["flow_stack"])
        self._batch_size, self._dtype = settings["batch_size"], settings["dtype"]
        self._compression = settings["compression"]

    def read(self, shards):
        """One `Outcome` per source, in order; batches are computed while shards are written."""
        tasks = map(self._job.task, itertools.chain.from_iterable(shards))
        received = self._job.pool.stream(stream_in_worker, tasks, self._inputs.receive, self._inputs.item_bytes)
        waiting, rows = collections.deque(), collections.deque()
        with contextlib.closing(received):
            for block in map_ahead(self._see, self._batches(shards, received, waiting), self._engine.at_once):
                rows.extend(block)
                yield from self._finished(waiting, rows)
        yield from self._finished(waiting, rows)

    def _batches(self, shards, received, waiting):
        """Lists of inputs; (source, its inputs) of every video that came to its end are added to `waiting`.

        A batch holds frames of consecutive videos, never of two shards. So the batches of a shard, and the percepts
        computed from them, do not depend on where a build was resumed.
        """
        for sources in shards:
            batch = []
            for source in sources:
                inputs = ReceivedInputs(next(received))
                for each in inputs:
                    batch.append(each)
                    if len(batch) == self._batch_size:
                        yield batch
                        batch = []
                waiting.append((source, inputs))
            if batch:
                yield batch

    def _see(self, batch):
        return extract_batch(self._engine, batch, self._batch_size, self._dtype)

    def _finished(self, waiting, rows):
        """The outcomes of the first of `waiting` that have all their `rows` by now."""
        while waiting and waiting[0][1].count <= len(rows):
            source, inputs = waiting.popleft()
            array = [rows.popleft() for _ in range(inputs.count)]

            def percept(source, clip, _, array=array):
                return self._percept(clip, np.stack(array))

            yield to_outcome(source, inputs.result, percept)

    def _percept(self, clip, array):
        require_finite(array, clip.path)
        return Percept(
            array,
            path=clip.path,
            label_index=clip.label_index,
            label_text=clip.label_text,
            frame_rate=clip.frame_rate,
            start=clip.timestamps[0] / 1e6,
            compression=self._compression,
            frame_labels=clip.frame_labels,
        )
