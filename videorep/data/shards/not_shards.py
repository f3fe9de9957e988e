"""What lies where a folder of shards is wanted, and what to do about it: the ends of sentences that refuse it."""

import itertools
import os
from pathlib import Path

from videorep.data.shards.dataset import MANIFEST
from videorep.data.shards.manifest_schema import SHARD
from videorep.data.video_names import looks_like_video
from videorep.storage import is_url

MANY_FILES = 1000  # to look at, for an error message


def what_lacks_manifest(folder):
    """What a folder without dataset.json is, and the remedy."""
    if (folder / "config.json").exists():
        return "the folder of a run; name a folder of shards"
    if not any(folder.iterdir()):
        return "an empty folder; run videorep build-shards"
    if (folder / ".build").exists() or any(folder.glob(f"*{SHARD}*")):
        return "an unfinished build; give the build command again with --resume"
    if isinstance(folder, Path) and _holds_videos(folder):
        return f"a folder of videos; make shards of it: videorep build-shards clips {folder} --out SHARDS"
    return "another folder; name one that videorep build-shards has made"


def what_is_file(path):
    """What a file where a folder of shards is wanted is, and the remedy."""
    if looks_like_video(path.name):
        return f"a video; make shards of its folder: videorep build-shards clips {path.parent} --out SHARDS"
    if path.name == MANIFEST or SHARD in path.name:
        return "a file within one; name the folder"
    return "a file; name a folder that videorep build-shards has made"


def leads_to_videos(path):
    """Whether something lies at a path of this machine that is no shards, finished or not, no run, and not empty."""
    if is_url(path) or not os.path.exists(path):
        return False
    path = Path(path)
    if not path.is_dir():
        return path.name != MANIFEST and SHARD not in path.name
    ours = any((path / name).exists() for name in (MANIFEST, ".build", "config.json")) or any(path.glob(f"*{SHARD}*"))
    return not ours and any(path.iterdir())


def _holds_videos(folder):
    """Whether a video is among the first files below a folder."""
    files = (name for _, _, names in os.walk(folder) for name in names)
    return any(map(looks_like_video, itertools.islice(files, MANY_FILES)))
