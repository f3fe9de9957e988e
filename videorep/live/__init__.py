"""From a trained run to any video: whole files (`classify_videos`, `embed_videos`, `search_videos`), or one frame after
another (`LiveClassifier`)."""

from videorep.live.classify import classify_videos
from videorep.live.embed import embed_shards, embed_videos
from videorep.live.search import search_videos
from videorep.live.stream import LiveClassifier

__all__ = ["LiveClassifier", "classify_videos", "embed_shards", "embed_videos", "search_videos"]
