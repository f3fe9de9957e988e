"""Arrays of features as others share them: as video_features writes them, and for online action detection."""

import hashlib

import numpy as np
from shard_building import with_options

from videorep.build_config import FeaturesConfig
from videorep.data.features import build
from videorep.data.shards.read import read_shards

FEATURES = 6
build_features = with_options(build.build_features, FeaturesConfig)


def values(number, frames=9, features=FEATURES):
    """Of video `number`: the first feature tells its class, the others its number."""
    made = np.random.default_rng(number).normal(size=(frames, features)).astype(np.float32)
    made[:, 0] = 4 * (number % 2) - 2
    return made


def make_folder(folder, frames=9):
    """As video_features writes: CLASS/VIDEO_rgb.npy, VIDEO_fps.npy and VIDEO_timestamps_ms.npy, of 8 videos."""
    for number in range(8):
        place = folder / ("clap", "wave")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"v{number}_rgb.npy", values(number, frames))
        np.save(place / f"v{number}_fps.npy", np.array(25.0))
        np.save(place / f"v{number}_timestamps_ms.npy", np.arange(frames) * 160.0)
    return folder


def written(dataset):
    """{path: record} of all splits."""
    records = [record for split in dataset.splits for record in read_shards(dataset.folder, split).as_numpy_iterator()]
    return {record["path"].decode(): record for record in records}


def reasons(dataset):
    return {source["path"]: source["reason"] for source in dataset.sources if not source["records"]}


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def make_thumos(root, rgb="rgb_x"):
    """As the field of online action detection shares them: rgb_*/V.npy, flow_*/V.npy, target_perframe/V.npy."""
    for kind in (rgb, "flow_x", "target_perframe"):
        (root / kind).mkdir(parents=True)
    for number in range(6):
        frames = 20 + number
        np.save(root / rgb / f"video_{number}.npy", values(number, frames))
        np.save(root / "flow_x" / f"video_{number}.npy", values(10 + number, frames))
        np.save(root / "target_perframe" / f"video_{number}.npy", np.eye(3)[classes_of(number, frames)])
    return root


def classes_of(number, frames):
    return [(number + frame // 5) % 3 for frame in range(frames)]
