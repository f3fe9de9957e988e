"""Percepts straight from videos, without clip shards in between: `build-shards percepts VIDEOS`."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import threading

import numpy as np

from videorep.build_config import ClipsConfig
from videorep.data.percepts.build import COMMAND, extract_batch, open_net, require_finite
from videorep.data.percepts.flow import require_longer
from videorep.data.percepts.inputs import FrameInputs, ReceivedInputs
from videorep.data.shards.build import build_dataset
from videorep.data.shards.build_folder import require_free
from videorep.data.shards.plan import Recipe
from videorep.data.shards.records import Percept
from videorep.data.threads import run_ahead
from videorep.data.videos.encode import stream_in_worker
from videorep.data.videos.job import open_job
from videorep.progress import SilentProgress

AHEAD = 8  # videos whose percepts may wait to be written


def build_percepts_of_videos(
    videos, out, config, clips=ClipsConfig(), *, resume=False, overwrite=False, dry_run=False, progress=None
):
    """Decodes videos and writes one percept, a (T, D) array, per video or piece; frames are never compressed.

    Which videos and pieces there are, their labels, splits, order and shards, and what is said of those that are left
    out, are those of `videorep.data.videos.build.build_clips`. Worker processes decode, threads scale, and another one
    runs the convnet while shards are written. Shards do not depend on the workers or on interruptions.

    Args:
        videos, out: As for `build_clips`.
        config: `PerceptsConfig`.
        clips: `ClipsConfig` without `quality` and `name`.
        resume, overwrite, progress: See `videorep.data.shards.build.build_dataset`.
        dry_run: Only find and count; write nothing.
    Returns:
        `Dataset`; with `dry_run` a dict of what would be built.
    Raises:
        BackboneError: the convnet cannot be had, does not fit the stream, or its values do not fit `dtype`.
        ConfigError, DataError: see `build_clips`.
        ShardError: no video is long enough for a stack of flow; or see `build_dataset`.
        OutputError: see `build_dataset`.
    """
    progress = progress or SilentProgress()
    require_free(out, resume, overwrite, dry_run)
    net, settings, stage = open_net(config)
    with open_job(videos, out, dataclasses.replace(clips, quality=None), progress) as job:
        if dry_run:
            return job.describe() | {"features": net.features, "settings": settings}
        made = job.made(COMMAND)
        made["stages"] = {"clips": made["settings"], "percepts": stage}
        made["settings"] = settings | made["settings"]
        recipe = Recipe("percepts", "percepts", job.plan, job.labels, made)

        def check(entries):
            job.check(entries)
            if len(entries) == len(job.paths):
                require_longer(videos, [entry.get("frames", 0) for entry in entries], settings["flow_stack"])

        options = {"resume": resume, "overwrite": overwrite, "progress": progress, "check": check}
        return build_dataset(out, recipe, _Extraction(net, job, settings).run, **options)


class _Extraction:
    """From pending shards to outcomes: the `process` of `build_dataset`."""

    def __init__(self, net, job, settings):
        self._net, self._job, self._inputs = net, job, FrameInputs(net.size, settings["flow_stack"])
        self._batch_size, self._dtype = settings["batch_size"], settings["dtype"]
        self._compression = settings["compression"]

    def run(self, pending):
        """One `Outcome` per source, in order; a thread works ahead."""
        stopped = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            try:
                yield from run_ahead(self._outcomes(pending), AHEAD, thread, stopped)
            finally:
                stopped.set()
                self._job.pool.close()  # so that the thread need not wait for a decoder that hangs

    def _outcomes(self, pending):
        received = self._job.pool.stream(
            stream_in_worker, self._job.tasks(pending), self._inputs.receive, self._inputs.item_bytes
        )
        with contextlib.closing(received):
            for task in pending:
                yield from self._shard(task.sources, received)

    def _shard(self, sources, received):
        """The outcomes of one shard.

        A batch holds frames of consecutive videos, never of two shards. So the batches of a shard, and the percepts
        computed from them, do not depend on where a build was resumed.
        """
        batch, rows, waiting = [], collections.deque(), collections.deque()
        for source in sources:
            inputs = ReceivedInputs(() if source in self._job.reasons else next(received))
            for each in inputs:
                batch.append(each)
                if len(batch) == self._batch_size:
                    rows.extend(self._extract(batch))
                    batch = []
                    yield from self._finished(waiting, rows)
            waiting.append((source, inputs))
        if batch:
            rows.extend(self._extract(batch))
        yield from self._finished(waiting, rows)

    def _extract(self, batch):
        return extract_batch(self._net, batch, self._batch_size, self._dtype)

    def _finished(self, waiting, rows):
        """The outcomes of the first of `waiting`, (source, its inputs), that have all their rows by now."""
        while waiting and waiting[0][1].count <= len(rows):
            source, inputs = waiting.popleft()
            array = [rows.popleft() for _ in range(inputs.count)]

            def percept(source, clip, _, array=array):
                return self._percept(clip, np.stack(array))

            yield self._job.outcome(source, inputs.result, percept)

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
