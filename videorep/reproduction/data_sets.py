"""The videos of a reproduction, counted before the work: those that the official lists name, and those there are."""

import collections
import dataclasses

from videorep.data.videos.labels import list_videos
from videorep.data.videos.official_lists import read_official_list
from videorep.errors import DataError

FOLDERS = "folders"
SIDES = ("train", "test")


@dataclasses.dataclass(frozen=True)
class DataSet:
    """Videos and their splits.

    Args:
        name: "ucf101", "hmdb51" or "folders".
        videos: Folder of the videos.
        splits: {number: {path of a video below it: (class, "train" or "test")}}.
        classes: {class: [videos that are there, videos that the lists name]}; without lists both are equal.
        doubts: Sentences on what a reader of its tables must know.
    """

    name: str
    videos: str
    splits: dict
    classes: dict
    doubts: tuple

    def describe(self):
        """For a dry run: counts by split and class."""
        sides = {
            f"split {number}": dict(collections.Counter(side for _, side in chosen.values()))
            for number, chosen in self.splits.items()
        }
        rows = [{"class": name, "found": found, "listed": of} for name, (found, of) in self.classes.items() if found]
        found, listed = map(sum, zip(*self.classes.values(), strict=True))
        counts = {"videos_found": found, "videos_listed": listed, "videos_missing": listed - found}
        absent = [name for name, (found, _) in self.classes.items() if not found]
        return counts | sides | {"classes_without_a_video": absent, "classes": rows}


def find_data_set(name, videos, lists, scale):
    """Looks which videos there are, and to which side of which split each belongs.

    Args:
        name, videos, lists: As in `Request.data`.
        scale: Scale, of which `splits`, `share` and the seed count.
    Raises:
        DataError: no videos, lists that do not fit, a leak, or fewer than two classes with videos on both sides.
    """
    splits, doubts, unread = {}, [], {}
    for number, listing in _list_splits(name, videos, lists, scale).items():
        unread |= {video.file.name: video.file.problem for video in listing.videos if video.file.problem}
        usable = {video.file.name: (video.label, video.split) for video in listing.videos if not video.reason}
        of = {side: {label for label, own in usable.values() if own == side} for side in SIDES}
        both = of["train"] & of["test"]
        if len(both) < 2:
            raise DataError(
                f"expected two classes or more of {name} with videos to train and to test on, received {len(both)} in "
                f"split {number} of {videos}; give more videos"
            )
        if one_sided := sorted((of["train"] | of["test"]) - both):
            doubts.append(f"{name}, split {number}: left out, with videos on one side only: {', '.join(one_sided)}")
        splits[number] = {path: own for path, own in usable.items() if own[0] in both and own[1] in SIDES}
    found = {path: label for chosen in splits.values() for path, (label, _) in chosen.items()}
    counts = collections.Counter(found.values())
    listed = _count_listed(name, lists, scale) if lists else counts
    missing = listed.total() - counts.total()
    if missing:
        doubts.insert(
            0,
            f"{name}: {missing:,} of the {listed.total():,} videos that the official lists name are missing, or of "
            f"classes that were left out; {len(set(listed) - set(counts))} of {len(listed)} classes have none: what is "
            "measured is no reproduction of the paper's figures",
        )
    if unread:
        path, problem = min(unread.items())
        doubts.append(f"{name}: {len(unread):,} videos cannot be opened, the first {path}: {problem}")
    classes = {label: (counts[label], listed[label]) for label in sorted(listed)}
    return DataSet(name, videos, splits, classes, tuple(doubts))


def _list_splits(name, videos, lists, scale):
    if lists:
        return {number: list_videos(videos, labels=name, split=f"{lists}:{number}") for number in scale.splits}
    listing = list_videos(videos, labels=FOLDERS)
    if {video.split for video in listing.videos} == {"train"}:
        listing = list_videos(videos, labels=FOLDERS, split=scale.share, seed=scale.pretraining.seed)
    return {1: listing}


def _count_listed(name, lists, scale):
    members = {
        stem: label
        for number in scale.splits
        for stem, (label, side) in read_official_list(name, f"{lists}:{number}").members.items()
        if side
    }
    return collections.Counter(members.values())
