"""Which arrays of features lie below a folder, and of which video each is. No TensorFlow."""

import collections
import dataclasses
import functools
from pathlib import Path, PurePosixPath

from videorep.data.features.arrays import FPS, TIMES, FaultyArrayError, features_shape
from videorep.data.videos.find import find_files
from videorep.errors import DataError

KIND = "feature array"  # other files are "not a feature array: ..."


def find_features(folder, match, array=None):
    """The arrays (L, D) below a folder as `VideoFile`s that are called like their videos, see `name_video`.

    Every file but those that tell frame rates and times of others ends up in the list; one that is no such array, or
    not of the D that most have, has a problem.

    Args:
        match: Pattern of their names, as of `pathlib.PurePath.match`.
        array: Which one to take of `.npz` files that hold several.
    Raises:
        DataError: no such folder or files, or VIDEO_rgb and VIDEO_flow of one video.
    """
    if Path(folder).is_file():
        raise DataError(f"expected a folder of {KIND}s, received the file {folder}; name the folder that it lies in")
    named = {}
    for file in find_files(folder, functools.partial(_is_wanted, match=match), KIND, match):
        if PurePosixPath(file.name).stem.endswith((FPS, TIMES)):
            continue
        name = name_video(file.name, match)
        if name in named and not file.problem:
            file = dataclasses.replace(file, problem=f"duplicate: another array of {name}")
        elif not file.problem:
            file = dataclasses.replace(file, name=name)
        named[file.name] = file
    for name in named:
        other = f"{name.removesuffix('_rgb')}_flow"
        if name.endswith("_rgb") and other in named:
            raise DataError(f"expected one array per video, received {name} and {other}; give --match '*_rgb.npy'")
    return _compare_widths(named.values(), array)


def find_targets(folder):
    """{name of a video: path of its array (L, classes)} of all below a folder, called by the files' names alone.

    Raises a DataError where there is none.
    """
    match = "*.np[yz]"
    files = find_files(folder, functools.partial(_is_wanted, match=match), "label array", match)
    return {PurePosixPath(name_video(file.name, match)).name: file.path for file in files if not file.problem}


def name_video(name, match):
    """What a video is called whose array has a name that matches: what the star stands for, below the folders that the
    pattern does not name: "c/v" of "c/v_rgb.npy" and "*_rgb.npy", "v" of "rgb_x/v.npy" and "rgb_*/*.npy"."""
    path, pattern = PurePosixPath(name), PurePosixPath(match)
    before, star, after = pattern.stem.partition("*")
    stem = path.stem[len(before) : len(path.stem) - len(after)] if star and "*" not in after else path.stem
    return "/".join([*path.parts[: -len(pattern.parts)], stem])


def _is_wanted(name, match):
    path = PurePosixPath(name)
    return path.match(match) and not path.stem.endswith((FPS, TIMES))


def _compare_widths(files, array):
    """The files, with a problem where their array is none or has not the number of features that most have."""
    widths, checked = {}, []
    for file in files:
        try:
            if not file.problem:
                widths[file.name] = features_shape(file.path, array)[1]
        except FaultyArrayError as fault:
            file = dataclasses.replace(file, problem=str(fault))
        checked.append(file)
    usual = max(collections.Counter(widths.values()).items(), key=lambda item: item[1], default=(0, 0))[0]
    return [
        dataclasses.replace(file, problem=f"other features: {widths[file.name]} per frame, where most have {usual}")
        if widths.get(file.name, usual) != usual
        else file
        for file in checked
    ]
