"""From a trained run to any video: whole files (`classify_videos`), or one frame after another (`LiveClassifier`)."""

from videorep.live.classify import classify_videos
from videorep.live.stream import LiveClassifier

__all__ = ["LiveClassifier", "classify_videos"]
