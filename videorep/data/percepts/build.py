"""Percepts: what a convnet sees on every frame of clip shards, written as shards that mirror them."""

import collections
import contextlib
import dataclasses
import functools
from pathlib import Path

import numpy as np
import tensorflow as tf

from videorep.data.percepts.backbones import load_backbone, trained_on
from videorep.data.percepts.engines import open_engine
from videorep.data.percepts.flow import require_longer
from videorep.data.percepts.frames import ADVICE, read_batches
from videorep.data.percepts.hub import PREFIX
from videorep.data.python_functions import ReadableDataset
from videorep.data.shards.images import DECODER
from videorep.data.shards.manifest import load_dataset
from videorep.data.shards.parse import parse_clip
from videorep.data.shards.parts import carry_out
from videorep.data.shards.plan import Outcome, Recipe, Source, Work
from videorep.data.shards.records import Percept
from videorep.data.shards.verify import require_sound
from videorep.data.threads import map_ahead, without_tuning
from videorep.errors import BackboneError, ShardError
from videorep.storage import fetch, require_apart

COMMAND = "build-shards percepts"


def build_percepts(shards, out, config, **choices):
    """Runs a convnet over clip shards and writes one percept, a (T, D) array, per clip.

    The percept shards mirror the clip shards: same splits, same number, same clips in the same order. Frames are
    decoded and percepts written while the network computes, in batches across the clips of a shard.

    Args:
        shards: Folder of clip shards, or its URL.
        out: Folder to make, or its URL.
        config: `PerceptsConfig`.
        choices: See `videorep.data.shards.parts.carry_out`.
    Returns:
        The new `Dataset`; with `dry_run` a dict that tells what would be made.
    Raises:
        BackboneError: the convnet or its engine cannot be had, it does not fit the stream, or its values `dtype`.
        ShardError: `shards` is not a finished folder of clips.
        OutputError: `out` cannot be written, holds something, or is not apart from `shards`.
    """
    require_apart(out, {"SHARDS": shards})
    return carry_out(functools.partial(_open_work, shards, out, config), out, **choices)


@contextlib.contextmanager
def _open_work(shards, out, config, progress):
    dataset = _open_clips(shards)
    net, engine, settings, stage = open_net(config)
    inputs, stack = _list_inputs(dataset), settings["flow_stack"]
    require_longer(shards, [count for members in inputs.values() for each in members for count in each.frames], stack)
    settings |= {"decoder": DECODER, "clips": dataset.provenance["shards"]}
    plan = {split: [list(each.sources) for each in members] for split, members in inputs.items()}
    made = {"command": COMMAND, "seed": None, "settings": settings}
    made |= {"unit": dataset.made["unit"]} if "unit" in dataset.made else {}
    made["stages"] = {"clips": dataset.made.get("settings"), "percepts": stage}
    recipe = Recipe("percepts", "percepts", plan, dataset.labels, made)
    extraction = _Extraction(engine, net.size, inputs, dataset.labels, settings)
    require_intact = functools.cache(functools.partial(require_sound, dataset))

    def process(pending):
        for split in dict.fromkeys(task.split for task in pending):
            require_intact(split)
        return extraction.run(pending)

    yield Work(recipe, process, None, functools.partial(_describe, inputs, net, settings, dataset))


def open_net(config):
    """The convnet of a `PerceptsConfig`, its engine, what dataset.json notes of them, and the config completed.

    Raises:
        BackboneError: the convnet or its engine cannot be had, or it does not fit the stream.
    """
    stream, flow_stack = trained_on(config.backbone)
    stream = stream if config.stream is None else config.stream
    flow_stack = flow_stack if config.flow_stack is None else config.flow_stack
    net = load_backbone(config.backbone, config.layer, config.weights, config.pool)
    stack = flow_stack if stream == "flow" else 0
    require_fit(net, config.backbone, stack)
    engine = open_engine(net, config.batch_size, config.engine, config.precision)
    settings = net.description | engine.description | {"stream": stream, "flow_stack": stack, "crop": net.size}
    settings |= {name: getattr(config, name) for name in ("dtype", "compression", "batch_size")}
    choices = {"stream": stream, "flow_stack": flow_stack, "layer": net.description["layer"], "engine": engine.name}
    choices |= {name: _place(getattr(config, name)) for name in ("backbone", "weights")}
    return net, engine, settings, dataclasses.asdict(config) | choices


def _place(name):
    """The whole path of a file or folder, also behind "hub:"; any other name as it is."""
    if str(name).startswith(PREFIX):
        return PREFIX + _place(name.removeprefix(PREFIX))
    return str(Path(name).resolve()) if Path(name).exists() else str(name)


def _open_clips(shards):
    """The clip shards, which are all there."""
    dataset = load_dataset(shards)
    if dataset.kind != "clips":
        raise ShardError(f"expected clips in {shards}, received {dataset.kind}; name the folder of clip shards")
    for split in dataset.splits:
        require_sound(dataset, split, hashed=False)
    return dataset


SOURCE = [field.name for field in dataclasses.fields(Source)]
_Input = collections.namedtuple("_Input", "file frames sources records")
_Input.__doc__ = "One clip shard: its path, the frames of each record, its sources, and the records of each source."


def _list_inputs(dataset):
    """`{split: [_Input per shard with records]}`: what must be read, known from dataset.json alone."""
    inputs = {}
    for split in dataset.splits:
        members = collections.defaultdict(list)
        for entry in dataset.written(split):
            members[entry["shard"]].append(entry)
        for path, shard in zip(dataset.paths(split), dataset.shards(split), strict=True):
            entries = members[shard.file]
            sources = [Source(**{key: entry[key] for key in SOURCE}) for entry in entries]
            if sources:
                each = _Input(path, shard.index["frames"], sources, [entry["records"] for entry in entries])
                inputs.setdefault(split, []).append(each)
    return inputs


class _Extraction:
    """From pending shards to outcomes: the `process` of `build_dataset`."""

    def __init__(self, engine, size, inputs, labels, settings):
        self._engine, self._size, self._inputs, self._labels = engine, size, inputs, labels
        self._batch_size, self._stack = settings["batch_size"], settings["flow_stack"]
        self._dtype, self._compression = settings["dtype"], settings["compression"]

    def run(self, pending):
        """One `Outcome` per source, in order; decoding runs ahead across shards."""
        inputs = [self._inputs[task.split][task.index] for task in pending]
        files = [fetch(each.file) for each in inputs]
        totals = [sum(each.frames) for each in inputs]
        batches = read_batches(files, totals, self._batch_size, self._size, self._stack)
        counts = [
            n for each, total in zip(inputs, totals, strict=True) for n in (*each.frames, -total % self._batch_size)
        ]
        arrays = split_rows(map_ahead(self._see, batches, self._engine.at_once), counts)
        for file, each in zip(files, inputs, strict=True):
            clips = self._clips(file)
            for source, records in zip(each.sources, each.records, strict=True):
                yield Outcome(source, [self._percept(next(clips), next(arrays)) for _ in range(records)])
            next(arrays)  # what filled up the shard's last batch

    def _see(self, batch):
        """The stored form of a batch's percepts, (B, D)."""
        return extract_batch(self._engine, batch, self._batch_size, self._dtype)

    def _clips(self, file):
        """What the percepts of a shard take over from its clips."""

        def keep(record):
            clip = parse_clip(record)
            start = clip["timestamps"][0]
            return {"start": start} | {key: clip[key] for key in ("path", "label_index", "frame_rate", "frame_labels")}

        records = tf.data.TFRecordDataset(str(file), buffer_size=1 << 20)
        return ReadableDataset(without_tuning(records.map(keep)), ADVICE).as_numpy_iterator()

    def _percept(self, clip, array):
        label = None if clip["label_index"] < 0 else int(clip["label_index"])
        path = clip["path"].decode("utf-8", "surrogateescape")
        require_finite(array, path)
        return Percept(
            array,
            path=path,
            label_index=label,
            label_text=None if label is None else self._labels[label],
            frame_rate=float(clip["frame_rate"]),
            start=float(clip["start"]) / 1e6,
            compression=self._compression,
            frame_labels=clip["frame_labels"].tolist(),
        )


def split_rows(blocks, counts):
    """Cuts a stream of (B, D) blocks into one array for each of `counts`, of that many rows."""
    parts, held = [], 0
    blocks = iter(blocks)
    for count in counts:
        while held < count:
            parts.append(next(blocks))
            held += len(parts[-1])
        rows = np.concatenate(parts) if parts else np.zeros((0, 0))
        parts, held = [rows[count:]], held - count
        yield rows[:count].copy()


def extract_batch(engine, inputs, batch_size, dtype):
    """Percepts (n, D), as `dtype`, of n inputs: a whole batch, or a list, which zeros fill up to one.

    Raises:
        BackboneError: too little memory.
    """
    count = len(inputs)
    if isinstance(inputs, list):
        inputs = np.stack(inputs + [np.zeros_like(inputs[0])] * (batch_size - count))
    try:
        features = engine.run(inputs)[:count]
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise BackboneError(
            f"expected memory for {batch_size} frames at once, received too little; lower --batch-size"
        ) from error
    return to_storage(features, dtype)


def to_storage(features, dtype):
    """Features as `dtype`; what it cannot hold becomes infinite."""
    with np.errstate(over="ignore"):
        return features.astype(dtype)


def require_finite(array, path):
    """Raises BackboneError where a clip's percept holds NaN, or what its dtype cannot hold."""
    if np.isfinite(array).all():
        return
    if np.isnan(array).any():
        raise BackboneError(
            f"expected percepts that are numbers, received NaN for {path}; use another --layer, or sound weights"
        )
    wider = "--dtype float32 or " if array.dtype == np.float16 else ""
    raise BackboneError(
        f"expected percepts that {array.dtype} can hold, received larger ones for {path}; use {wider}another --layer"
    )


def require_fit(net, name, stack):
    """Raises BackboneError where a net does not see frames, or stacks of `stack` flow fields."""
    channels = 2 * stack or 3
    if net.channels != channels:
        wanted = f"--stream flow with --flow-stack {stack}" if stack else "--stream rgb"
        raise BackboneError(
            f"expected a convnet with {channels} input channels for {wanted}, received {name} with {net.channels}; "
            "choose a convnet that was trained on this stream; leave --stream and --flow-stack out where it is a run"
        )


def _describe(inputs, net, settings, dataset):
    frames = sum(sum(each.frames) for members in inputs.values() for each in members)
    return {
        "clips": sum(sum(each.records) for members in inputs.values() for each in members),
        "frames": frames,
        "features": net.features,
        "shards": {split: len(members) for split, members in inputs.items()},
        "bytes_before_compression": frames * net.features * np.dtype(settings["dtype"]).itemsize,
        "settings": {key: value for key, value in settings.items() if key != "clips"},
        "source": str(dataset.folder),
    }
