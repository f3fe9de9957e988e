"""A comparison's folder: what was asked for, and what was measured, a file per contender and number of labels."""

import json
import math
import re
import zipfile
from pathlib import Path

import numpy as np

from videorep.errors import OutputError, RunError
from videorep.storage import is_no_regular_file, read_file, replacing, write_text_durably

RESULT, CONFIG, MEASURED, PRETRAINED = "comparison.json", "config.json", "measured", "pretrained"
REPORT = ("report.html", RESULT)
OWN = re.compile(r"(majority|mean-pooled|single-frame|random-weights|pretrained-).*-(\d+|all)\.npz")
FACTS = {"settings", "choice_accuracy", "seconds"}
MOST_FACTS = 1 << 20  # bytes, far more than they take


def slug(name):
    """What of a contender's name stands in the names of files: two contenders must differ in it."""
    return re.sub("[^a-z0-9]+", "-", name.lower())


class AskedFolder:
    """A folder of several results, and what was asked for in its config.json: it goes on with nothing else.

    `KIND` is what the folder holds, `COMMAND` makes it, and in `INNER` lies what was made.

    Args:
        folder: Path.
        asked: What decides the results, a dict for JSON.
    """

    KIND, COMMAND, INNER = "comparison", "compare", MEASURED

    def __init__(self, folder, asked):
        self.folder, self._asked = Path(folder), json.loads(json.dumps(asked))

    def require_free(self, resume, overwrite):
        """Raises an OutputError where the folder holds something else, or another comparison."""
        if not self.folder.is_dir() or not any(self.folder.iterdir()):
            return
        path = self.folder / CONFIG
        begun = self._read_config(path)
        if begun is None and (self.folder / self.INNER).exists() and not overwrite:
            raise OutputError(
                f"expected the settings of a {self.KIND} in {path}, which cannot be read; restore the file, or begin "
                "anew with --overwrite"
            )
        if begun is None and not (self.folder / self.INNER).exists():
            raise OutputError(
                f"expected a new or empty folder, or one of videorep {self.COMMAND}, received {self.folder}, which "
                "holds other files; choose another --out"
            )
        if not resume and not overwrite:
            raise OutputError(
                f"expected a new folder, received {self.folder}, which holds a {self.KIND}; go on with --resume, or "
                "replace it with --overwrite"
            )
        if resume and begun != self._asked:
            differ = [key for key in self._asked if begun.get(key) != self._asked[key]]
            raise OutputError(
                f"expected the same settings and data as {self.folder} was begun with, received other "
                f"{', '.join(differ)}; give the same command again, or choose another --out"
            )

    def _read_config(self, path):
        try:
            asked = json.loads(read_file(path))
        except (OSError, ValueError, RecursionError):
            return None
        return asked if isinstance(asked, dict) and asked.get("kind") == self.KIND else None


class Store(AskedFolder):
    """Reads and writes a comparison's folder."""

    def begin(self, overwrite):
        """Makes the folder; with `overwrite` what an earlier comparison measured there goes."""
        (self.folder / MEASURED).mkdir(parents=True, exist_ok=True)
        if overwrite:
            own = [path for path in (self.folder / MEASURED).iterdir() if OWN.fullmatch(path.name)]
            for path in (*own, *(self.folder / name for name in REPORT)):
                path.unlink(missing_ok=True)
        write_text_durably(self.folder / CONFIG, json.dumps(self._asked, indent=2) + "\n")

    def read(self, name, count, shapes):
        """What was measured of a contender, whose tables have these shapes, by name; None where nothing was yet.

        Raises:
            RunError: the file there is damaged or holds something else.
        """
        path, sizes = self._path(name, count), sum(map(math.prod, shapes.values()))
        if not path.exists():
            return None
        try:
            if is_no_regular_file(path):
                raise ValueError("no file")
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                if sum(member.file_size for member in arrays.zip.infolist()) > 4 * sizes + MOST_FACTS:
                    raise ValueError("larger than what was measured")
                tables, facts = {name: arrays[name] for name in shapes}, json.loads(str(arrays["facts"]))
            fit = all(tables[name].shape == shape and np.isfinite(tables[name]).all() for name, shape in shapes.items())
            if not fit or facts.keys() != FACTS:
                raise ValueError("something else")
            return tables | facts
        except (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise RunError(
                f"expected what videorep compare measured in {path}, received a damaged file; remove it and give the "
                "same command again with --resume"
            ) from error

    def write(self, name, count, measured):
        """Keeps what was measured, whole or not at all."""
        facts = json.dumps({key: measured[key] for key in measured.keys() & FACTS})
        tables = {name: table.astype(np.float32) for name, table in measured.items() if name not in FACTS}
        with replacing(self._path(name, count)) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **tables, facts=facts)

    def _path(self, name, count):
        return self.folder / MEASURED / f"{slug(name)}-{count or 'all'}.npz"
