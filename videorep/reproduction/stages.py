"""The folder of a reproduction: stages, each of which makes a folder in it and is done once."""

import json
import time

from videorep.comparison.store import CONFIG, AskedFolder
from videorep.config_values import read_json
from videorep.storage import write_text_durably

STAGES = "stages.json"
REPORT = ("report.html", "report.md", "results.json")


class Stages(AskedFolder):
    """The folder of a reproduction, see `AskedFolder`; stages.json says which stages are done, and their seconds."""

    KIND, COMMAND, INNER = "reproduction", "reproduce", STAGES

    def begin(self, overwrite, progress):
        """Makes the folder, and looks which stages are done; with `overwrite` all are made anew."""
        path = self.folder / STAGES
        known = path.exists() and not overwrite
        self.done = read_json(path, "the stages that are done", "begin anew with --overwrite") if known else {}
        for name in REPORT if overwrite else ():
            (self.folder / name).unlink(missing_ok=True)
        write_text_durably(self.folder / CONFIG, json.dumps(self._asked, indent=2) + "\n")
        self._choices = {"resume": not overwrite, "overwrite": overwrite, "progress": progress}
        self._note()

    def run(self, name, work, *arguments):
        """Calls `work(*arguments, folder, ...)` unless it is done; gives the folder, which is called `name`."""
        folder = self.folder / name
        if name not in self.done or not folder.is_dir():
            began = time.monotonic()
            work(*arguments, folder, **self._choices)
            self.done[name] = round(time.monotonic() - began, 1)
            self._note()
        return str(folder)

    def _note(self):
        write_text_durably(self.folder / STAGES, json.dumps(self.done, indent=2) + "\n")
