"""From a trained run to any video: whole files (`*_videos`), or one frame after another (`Live*`)."""

from videorep.live.classify import classify_videos, surprise_videos
from videorep.live.embed import embed_shards, embed_videos
from videorep.live.live_runs import LiveClassifier, LiveSurprise
from videorep.live.search import search_videos

__all__ = [
    "LiveClassifier",
    "LiveSurprise",
    "classify_videos",
    "embed_shards",
    "embed_videos",
    "search_videos",
    "surprise_videos",
]
