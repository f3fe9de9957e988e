"""Which names of files are those of videos. For whoever looks for videos, and for errors that tell one from shards."""

import os

_SUFFIXES = """3gp asf avi divx f4v flv m1v m2ts m2v m4v mjpeg mjpg mkv mov mp4 mpe mpeg mpg mts mxf ogm ogv qt rm ts
vob webm wmv"""
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())


def looks_like_video(name):
    """Whether a file's suffix is that of a video."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES
