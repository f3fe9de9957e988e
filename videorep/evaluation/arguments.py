"""Which of the things named on a command line are runs and which are data, told by what they hold."""

from pathlib import Path

from videorep.config import are_shards
from videorep.data.shards.dataset import MANIFEST
from videorep.data.shards.manifest import load_dataset
from videorep.data.video_names import VIDEO_SUFFIXES
from videorep.errors import DataError
from videorep.runs import CONFIG, is_run
from videorep.storage import locate


def tell_apart(names):
    """Sorts runs from data (see `videorep.config.are_shards`), each in the order given: two lists.

    Raises:
        DataError, ShardError: something is neither; says what it is.
    """
    runs = [name for name in names if are_shards(name) and is_run(name)]
    data = [name for name in names if name not in runs]
    for name in data:
        place = locate(name)
        if are_shards(name) and isinstance(place, Path) and not (place / MANIFEST).is_file():
            _explain(place)
    return runs, data


def _explain(place):
    """Raises the error that says what a path is that is neither run nor data, and what to do."""
    wanted = "expected the folder of a run or of shards"
    if not place.exists():
        raise DataError(f"{wanted}, received {place}, which does not exist; check the path")
    if not place.is_dir():
        what = "a video" if place.suffix.lower() in VIDEO_SUFFIXES else "a file"
        raise DataError(
            f"{wanted}, received {place}, {what}; make shards of a folder of videos with videorep build-shards clips, "
            "and evaluate on them"
        )
    inner = sorted(path.parent for path in place.glob(f"*/{CONFIG}"))
    if inner:
        raise DataError(
            f"{wanted}, received {place}, which holds {len(inner)} of them; name one, such as {inner[0]}, or draw all "
            "of them with videorep visualize few-label-curve"
        )
    load_dataset(place)  # says what else it is
