"""Keeps training and test data apart: byte-identical videos and UCF's groups, clips of one recording. No TensorFlow."""

import collections
import dataclasses
from pathlib import Path

import numpy as np

from videorep.data.shards.hashes import hash_file
from videorep.data.video_names import find_shared, ucf_group
from videorep.errors import DataError


def content_keys(videos):
    """What stands for each usable file's content, by path: its hash where another has the same size, else the path."""
    usable = {video.file.path: video.file.size for video in videos if not video.reason}
    sizes = collections.Counter(usable.values())
    keys = {}
    for path, size in usable.items():
        try:
            keys[path] = hash_file(Path(path)) if sizes[size] > 1 else path
        except OSError:
            keys[path] = path  # the decoder will find out and report it
    return keys


def leave_out_duplicates(videos, keys):
    """Gives each usable video that repeats an earlier one of its split a reason to be left out."""
    first, kept = {}, []
    for video in videos:
        if not video.reason:
            piece = (video.split, keys[video.file.path], video.start, video.end)
            same = first.setdefault(piece, video)
            if same is not video:
                label = "" if same.label == video.label else f", which has label {same.label!r}"
                video = dataclasses.replace(video, reason=f"duplicate: same bytes as {same.file.name}{label}")
        kept.append(video)
    return kept


def split_by_share(videos, share, seed):
    """Puts about `share` of every class into "train" and the rest into "test"; a group or a file goes to one side.

    Which ones depends on the names and the seed alone. A class of two groups or more is on both sides.
    """
    groups = collections.defaultdict(list)
    for video in videos:
        if not video.reason:
            groups[ucf_group(video.file.name) or video.file.path].append(video)
    strata = collections.defaultdict(list)
    for group in groups.values():
        strata[group[0].label or ""].append(group)
    side = {}
    for label in sorted(strata):
        members = sorted(strata[label], key=lambda group: group[0].file.name)
        order = np.random.default_rng([seed, *label.encode()]).permutation(len(members))
        wanted, taken = share * sum(map(len, members)), 0
        for rank, index in enumerate(order):
            group = members[index]
            last_alone = rank == len(members) - 1 and rank > 0
            train = rank == 0 or (taken + len(group) / 2 <= wanted and not last_alone)
            taken += len(group) if train else 0
            side |= {id(video): "train" if train else "test" for video in group}
    return [dataclasses.replace(video, split=side.get(id(video), "train")) for video in videos]


def refuse_leaks(videos, keys, allow):
    """How many contents and UCF groups are in two splits; raises DataError if there are any and `allow` is false."""
    usable = [(video.file, video.split) for video in videos if not video.reason]
    shared = find_shared((keys[file.path], split, file.name) for file, split in usable)
    shared_groups = find_shared((ucf_group(file.name), split, file.name) for file, split in usable)
    shared_groups.pop("", None)
    if not allow and shared:
        raise _leak("every video in one split only", "the same bytes", list(shared.values()))
    if not allow and shared_groups:
        raise _leak("every UCF group (gNN) in one split only", "one group", list(shared_groups.values()))
    return len(shared) + len(shared_groups)


def _leak(expected, kind, found):
    files = " and ".join(f"{name} ({split})" for split, name in sorted(found[0].items()))
    more = f", and {len(found) - 1} more such" if len(found) > 1 else ""
    return DataError(
        f"expected {expected}, received {kind} in {files}{more}; remove one side, or accept it with --allow-leaks"
    )
