"""The official split lists of UCF-101 and HMDB-51, as their authors publish them. No TensorFlow.

UCF-101: classInd.txt ("1 ApplyEyeMakeup"), trainlist01.txt ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1") and
testlist01.txt (no number), three splits. HMDB-51: CLASS_test_split1.txt ("NAME.avi 1"), 1 for train, 2 for test, 0 for
unused, three splits.
"""

import dataclasses
from pathlib import Path

from videorep.data.videos.find import printable
from videorep.errors import ConfigError, DataError
from videorep.storage import read_file

HMDB_SPLITS = {"0": "", "1": "train", "2": "test"}


@dataclasses.dataclass(frozen=True)
class OfficialList:
    """One official split. `members` maps a video's name without folder and suffix to (class, split or "": unused)."""

    name: str
    number: int
    classes: tuple
    members: dict


def read_official_list(name, split):
    """Reads one split of "ucf101" or "hmdb51": "LISTS:1" is the folder of the lists and the number of the split.

    Returns:
        `OfficialList`; its classes are in the order of their indices, whatever the split.
    Raises:
        ConfigError: `split` is not of that form.
        DataError: the lists are missing or do not parse.
    """
    folder, colon, number = str(split).rpartition(":")
    if not colon or not folder or not number.isdecimal() or len(number) > 2:
        raise ConfigError(
            f"expected --split LISTS:NUMBER for {name}: the folder of its lists and 1, 2 or 3, received {split!r}"
        )
    folder, number = Path(folder), int(number)
    if not folder.is_dir():
        raise DataError(f"expected the official lists of {name} in {folder}, received no such folder; check --split")
    classes, members = (_read_ucf if name == "ucf101" else _read_hmdb)(folder, number)
    return OfficialList(name, number, classes, members)


def _rows(path):
    """(line number, words) of each line that is not empty; any line ends."""
    try:
        lines = read_file(path).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected a readable list at {path}, received: {error}; check --split") from error
    return [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]


def _unexpected(path, number, expected):
    return DataError(f"expected {expected} in line {number} of {path}, received another; restore the official list")


def _stem(name):
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _read_ucf(folder, number):
    paths = {"train": folder / f"trainlist{number:02d}.txt", "test": folder / f"testlist{number:02d}.txt"}
    for path in (folder / "classInd.txt", *paths.values()):
        if not path.is_file():
            raise DataError(f"expected {path.name} among the lists of ucf101 in {folder}, received none; check --split")
    indices = {}
    for line, words in _rows(folder / "classInd.txt"):
        if len(words) != 2 or words[0] != str(line):
            raise _unexpected(folder / "classInd.txt", line, f"'{line} CLASS'")
        indices[words[1]] = words[0]
    members = {}
    for split, path in paths.items():
        for line, words in _rows(path):
            label = words[0].split("/")[0]
            if label not in indices or (len(words) > 1 and words[1] != indices[label]):
                raise _unexpected(path, line, "'CLASS/VIDEO.avi' and the number that classInd.txt gives the class")
            if _stem(words[0]) in members:
                raise _unexpected(path, line, "a video that no other line names")
            members[_stem(words[0])] = (label, split)
    return tuple(indices), members


def _read_hmdb(folder, number):
    ending = f"_test_split{number}.txt"
    paths = sorted(folder.glob(f"*{ending}"))
    if not paths:
        raise DataError(f"expected lists named CLASS{ending} in {folder}, received none; check --split")
    members = {}
    for path in paths:
        for line, words in _rows(path):
            if len(words) != 2 or words[1] not in HMDB_SPLITS:
                raise _unexpected(path, line, "'VIDEO.avi' and 0, 1 or 2")
            if _stem(words[0]) in members:
                raise _unexpected(path, line, "a video that no other line names")
            members[_stem(words[0])] = (printable(path.name).removesuffix(ending), HMDB_SPLITS[words[1]])
    return tuple(sorted(printable(path.name).removesuffix(ending) for path in paths)), members
