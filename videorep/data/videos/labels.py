"""Which videos there are, and the class and the split of each. No TensorFlow.

Every file that is found ends up in the listing; one that is not to be decoded carries the reason.
"""

import collections
import csv
import dataclasses
import functools
import io
import os
import re
import warnings
from pathlib import Path

from videorep.data.shards.keys import BACKGROUND
from videorep.data.videos.find import VideoFile, find_videos, inspect_file, printable
from videorep.data.videos.leaks import content_keys, leave_out_duplicates, refuse_leaks, split_by_share
from videorep.data.videos.official_lists import read_official_list
from videorep.data.videos.segments import gather_segments
from videorep.errors import ConfigError, DataError, VideorepWarning
from videorep.storage import read_file

OFFICIAL = ("ucf101", "hmdb51")
SPLIT_FOLDERS = {"train", "test", "val", "valid", "validation"}
COLUMNS = {1: ("path",), 2: ("path", "label"), 3: ("path", "start", "end"), 4: ("path", "start", "end", "label")}
FAR = 0.15  # of the share that was asked for, from which on it is told
MAX_SECONDS = 1e7  # 116 days
UCF_NAME = re.compile(r"v_(?P<label>[^_]+)_g\d+_c\d+$")


@dataclasses.dataclass(frozen=True)
class Video:
    """A video, or the piece [start, end) of one; `reason` says why it is left out from the start.

    `segments` are (start, end, class), where frames have classes of their own.
    """

    file: object
    label: str | None = None
    split: str = "train"
    start: float | None = None
    end: float | None = None
    reason: str = ""
    segments: tuple = ()


@dataclasses.dataclass(frozen=True)
class Listing:
    """All videos in a fixed order, the class names in order of their index, and what to tell of how they were found."""

    videos: tuple
    labels: tuple
    facts: dict


def list_videos(videos, *, labels=None, split=None, classes=None, seed=0, allow_leaks=False, files=None):
    """Finds the videos and gives each its class and split.

    Args:
        videos: Folder of videos, or the CSV itself.
        labels: None: no labels, whatever the folders. "folders": the class is the outermost folder, or the one below
            train/ and test/ where there are both. "ucf101": from names like v_Archery_g01_c01, or the official lists.
            "hmdb51": folders, or the official lists. "segments": `videos` is a CSV whose rows are segments of long
            videos, and every frame gets the class of its segment, or "background", class 0. Else a CSV file of
            path[,start,end][,label], with or without a header, paths below `videos` or beside the CSV, times in
            seconds.
        split: "LISTS:1" for the official lists of "ucf101" or "hmdb51"; or a share such as 0.8: this part of every
            class is "train", the rest "test", UCF groups kept together. None: the folders' splits, or all "train".
        classes: Class names in order of their index, or a text file with one per line; by default those that occur, in
            the official order or sorted.
        seed: Decides which videos make up the share.
        allow_leaks: Accept a video or a UCF group that is in two splits.
        files: `VideoFile`s that stand for the videos, called like them but for the suffix, where these are not to be
            looked for. Then `labels` may also be a folder: no labels, but the folders' splits.
    Returns:
        `Listing`. Labels are the same for every split.
    Raises:
        ConfigError: an unknown kind of labels or split.
        DataError: nothing found, lists or CSV that do not fit, or a leak.
    """
    given = str(videos)
    if labels is None and given.lower().endswith(".csv"):
        labels = given
    share = _parse_share(split, labels)
    facts = {}
    find = functools.partial(find_videos, videos) if files is None else lambda: files
    if labels is None:
        found = [Video(file) for file in find()]
    elif labels in OFFICIAL and split is not None and share is None:
        found, order, facts = _match_official(find(), read_official_list(labels, split))
        classes = order if classes is None else classes
    elif labels == "ucf101":
        found = [_label_by_name(file) for file in find()]
    elif labels in ("folders", "hmdb51"):
        found = _label_by_folder(find())
    elif labels == "segments":
        found = gather_segments(read_csv(Path(videos), Path(videos).parent, files))
    elif files is not None and Path(labels).is_dir():
        splits = _folder_splits(files)
        found = [Video(file, split=file.folders[0] if splits & {*file.folders[:1]} else "train") for file in files]
    elif str(labels).lower().endswith(".csv") or Path(labels).is_file():
        found = read_csv(Path(labels), Path(labels).parent if str(labels) == given else Path(videos), files)
    else:
        expected = f"folders, segments, {', '.join(OFFICIAL)} or the path of a CSV file"
        raise ConfigError(f"expected --labels to be {expected}, received {str(labels)!r}")
    found = [dataclasses.replace(video, reason=video.file.problem or video.reason) for video in found]
    keys = content_keys(found)
    found = leave_out_duplicates(found, keys)
    if share is not None:
        found = split_by_share(found, share, seed)
        _tell_share(found, share)
    leaks = refuse_leaks(found, keys, allow_leaks)
    return Listing(tuple(found), _label_map(found, classes), facts | ({"leaks": leaks} if leaks else {}))


def _tell_share(found, share):
    """Warns where whole groups, or classes of few videos, leave a split that is far from what was asked for."""
    splits = [video.split for video in found if not video.reason]
    trained = splits.count("train") / max(1, len(splits))
    if abs(trained - share) > FAR:
        warnings.warn(
            f"{trained:.0%} of the videos came into train where {share:.0%} was asked for, since a class is in both "
            "splits where it can be, and a group (UCF's gNN) in one; give more videos, or a CSV for each split",
            VideorepWarning,
            stacklevel=2,
        )


def _parse_share(split, labels):
    """The share of the training split, or None if `split` is none or names lists."""
    if split is None or (labels in OFFICIAL and ":" in str(split)):
        return None
    try:
        share = float(split)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        lists = " or LISTS:1" if labels in OFFICIAL else ""
        raise ConfigError(f"expected --split to be a share between 0 and 1, such as 0.8{lists}, received {split!r}")
    return share


def _label_map(videos, classes):
    """The classes of the usable videos: sorted, or as `classes` orders them."""
    usable = [video for video in videos if not video.reason]
    present = {video.label for video in usable if video.label is not None}
    in_segments = {label for video in usable for _, _, label in video.segments}
    if classes is None and in_segments:
        return BACKGROUND, *sorted(in_segments - {BACKGROUND})
    if classes is None:
        return tuple(sorted(present))
    present |= in_segments
    if isinstance(classes, (str, os.PathLike)):
        classes = _read_classes(Path(classes))
    if unknown := sorted(present - set(classes)):
        raise DataError(f"expected every class among {', '.join(classes)}, received {unknown[0]!r}; add it to the list")
    return tuple(classes)


def _read_classes(path):
    """The names in a text file, one per line."""
    try:
        names = [line.strip() for line in read_file(path).decode("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected a text file of class names at {path}, received: {error}; check it") from error
    if len(set(names)) < len(names) or not names:
        raise DataError(
            f"expected different class names, one per line, in {path}, received none or repeated ones; mend it"
        )
    return names


def _label_by_name(file):
    match = UCF_NAME.match(file.stem)
    if match is None:
        return Video(file, reason="no label: not named like v_Archery_g01_c01")
    return Video(file, match["label"])


def _label_by_folder(files):
    """The outermost folder is the class; or the split, if there is a train/ and another with such a name."""
    splits = _folder_splits(files)
    depth, videos = int(bool(splits)), []
    for file in files:
        if len(file.folders) <= depth or (splits and file.folders[0] not in splits):
            videos.append(Video(file, reason="no label: not in the folder of a class"))
        else:
            videos.append(Video(file, file.folders[depth], file.folders[0] if splits else "train"))
    usable = [video for video in videos if not video.file.problem]
    if usable and all(video.reason for video in usable):
        raise DataError("expected one folder per class, received videos outside of such; use --labels ucf101 or a CSV")
    return videos


def _folder_splits(files):
    """The splits that the outermost folders are called after: none, or train and others."""
    splits = {file.folders[0] for file in files if file.folders and not file.problem} & SPLIT_FOLDERS
    return splits if "train" in splits and len(splits) > 1 else set()


def _match_official(files, official):
    """Gives each file the class and split of the list's entry with the same name, whatever its folder and suffix."""
    videos, taken = [], {}
    counts = collections.Counter(listed=len(official.members))
    for file in files:
        label, split = official.members.get(file.stem, (None, None))
        if file.problem:
            videos.append(Video(file, label, split or "train"))
        elif label is None:
            counts["unlisted"] += 1
            videos.append(Video(file, reason="not in the official lists"))
        elif file.stem in taken:
            videos.append(Video(file, label, reason=f"duplicate: same official name as {taken[file.stem]}"))
        elif not split:
            counts["unused"] += 1
            videos.append(Video(file, label, reason=f"unused in official split {official.number}"))
        else:
            videos.append(Video(file, label, split))
        if label is not None and not file.problem:
            taken.setdefault(file.stem, file.name)
    if not taken:
        example = next(iter(official.members))
        raise DataError(
            f"expected videos of {official.name}, named like {example}, received {len(files)} files of other names; "
            "check the folder and --labels"
        )
    counts["absent"] = len(official.members) - len(taken)
    present = {official.members[stem][0] for stem in taken}
    counts["absent_classes"] = len(official.classes) - len(present)
    facts = {"official_list": f"{official.name} split {official.number}"} | dict(sorted(counts.items()))
    return videos, tuple(label for label in official.classes if label in present), facts


def read_csv(path, root, files=None):
    """One `Video` per row of a list, paths below `root`; rows that say the same twice count once.

    Where there are `files`, see `list_videos`, rows name these.
    """
    known = None if files is None else {file.name: file for file in files}
    try:
        reader = csv.reader(io.StringIO(read_file(path).decode("utf-8-sig"), newline=""))
        rows = [(reader.line_num, row) for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"expected a readable CSV at {path}, received: {error}; check --labels") from error
    if not rows:
        raise DataError(f"expected rows of path[,start,end][,label] in {path}, received an empty file; check --labels")
    _require_commas(path, rows[0][1], root)
    columns = COLUMNS.get(len(rows[0][1]))
    header = tuple(cell.strip().lower() for cell in rows[0][1])
    if "path" in header:
        columns = header
        del rows[0]
    if columns is None or tuple(sorted(columns)) not in {tuple(sorted(known)) for known in COLUMNS.values()}:
        raise DataError(f"expected columns path[,start,end][,label] in {path}, received others; check --labels")
    videos = {}
    for line, cells in rows:
        if len(cells) != len(columns):
            raise DataError(
                f"expected {len(columns)} columns in line {line} of {path}, received {len(cells)}; mend the file"
            )
        video = _read_row(f"line {line} of {path}", dict(zip(columns, cells, strict=True)), root, known)
        first = videos.setdefault((video.file.path, video.start, video.end), video)
        if first.label != video.label:
            raise DataError(
                f"expected one label for {video.file.name}, received {video.label!r} in line {line} of {path} after "
                f"{first.label!r}; keep one of the rows"
            )
    return list(videos.values())


def _require_commas(path, cells, root):
    """Raises DataError if the first row has columns, but between semicolons or tabs, and names no file as it stands."""
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(cells) == 1 and len(cells[0].split(separator)) in (2, 3, 4) and not os.path.lexists(root / cells[0]):
            raise DataError(
                f"expected columns path[,start,end][,label] with commas between them in {path}, received {name}; save "
                "it with commas and decimal points"
            )


def _read_row(where, row, root, known):
    label = row["label"].strip() if "label" in row else None
    if label == "" or not row["path"] or "\0" in row["path"]:
        raise DataError(f"expected a path and, where there is such a column, a label in {where}; mend the file")
    try:
        start, end = (float(row[name]) if row.get(name, "").strip() else None for name in ("start", "end"))
    except ValueError:
        start, end = -1.0, None
    if not 0 <= (start or 0.0) < (MAX_SECONDS if end is None else end) <= MAX_SECONDS:
        times = f"{row['start']},{row['end']}"
        raise DataError(f"expected 0 <= start < end in seconds in {where}, received {times}; mend the file")
    path = os.path.normpath(root / row["path"])
    inside = Path(path).is_relative_to(os.path.normpath(root))
    name = printable(os.path.relpath(path, root) if inside else path)
    file = inspect_file(path, name) if known is None else known.get(name) or known.get(os.path.splitext(name)[0])
    return Video(file or VideoFile(path, name, problem="missing: no such file"), label, start=start, end=end)
