"""Contenders on one set of labelled videos: what each gets right with how many labels, and whether that is chance."""

from videorep.comparison.comparison import compare

__all__ = ["compare"]
