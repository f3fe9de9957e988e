"""What names of files tell: which are those of videos, and which of one recording."""

import os
import re

_SUFFIXES = """3gp asf avi divx f4v flv m1v m2ts m2v m4v mjpeg mjpg mkv mov mp4 mpe mpeg mpg mts mxf ogm ogv qt rm ts
vob webm wmv"""
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())

_UCF_GROUP = re.compile(r"(v_.+_g\d+)_c\d+$")


def looks_like_video(name):
    """Whether a file's suffix is that of a video."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def ucf_group(name):
    """The recording that a clip named as in UCF-101 was cut from, such as "v_Archery_g07", or ""."""
    match = _UCF_GROUP.match(os.path.splitext(os.path.basename(name))[0])
    return match[1] if match else ""


def find_shared(members):
    """What is on more than one side: {key: {side: the first name there}}, of (key, side, name) each.

    The key is what of a video must not be on two sides, the side its split, the name what to call it.
    """
    sides = {}
    for key, side, name in members:
        sides.setdefault(key, {}).setdefault(side, name)
    return {key: names for key, names in sides.items() if len(names) > 1}
