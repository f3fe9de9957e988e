"""Where a model came from: export, run, shards and their sources, each link held to the hash that was written down.

Only what is still where it was is checked; what is not is named, and does not count against the rest.
"""

import contextlib
import json
import os
from pathlib import Path

from videorep.data.shards.dataset import MANIFEST
from videorep.data.shards.hashes import hash_file
from videorep.data.shards.manifest import load_dataset
from videorep.errors import RunError, VideorepError
from videorep.runs import CONFIG, load_run
from videorep.storage import is_url, locate, read_file

SAVED_MODEL = "saved_model.pb"
FACTS = Path("assets.extra") / "run.json"


def find_versions(path):
    """The versions of an export, the newest last: `path` itself or the folders within it; empty where there is none."""
    folder = Path(path)
    if is_url(path) or not folder.is_dir():
        return []
    if os.path.lexists(folder / SAVED_MODEL):
        return [folder]
    found = [each for each in folder.iterdir() if each.name.isdecimal() and os.path.lexists(each / SAVED_MODEL)]
    return sorted(found, key=lambda each: int(each.name))


def is_run(path):
    """Whether a folder of this machine holds a run."""
    return not is_url(path) and (Path(path) / CONFIG).is_file()


def read_export(version):
    """What an export says of the run that it came from, as `videorep.serving.export.describe` wrote it.

    Raises:
        RunError: it says nothing, or nothing that can be read, or its model is no regular file.
    """
    if not (version / SAVED_MODEL).is_file():
        raise RunError(f"expected {SAVED_MODEL} of an export in {version}, received no regular file; export again")
    try:
        facts = json.loads(read_file(version / FACTS))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"expected {FACTS} of an export in {version}, which cannot be read; export again") from error
    if not isinstance(facts, dict):
        raise RunError(f"expected {FACTS} of an export in {version}, which holds something else; export again")
    return facts


def describe_export(path):
    """For `videorep inspect`: the newest version of an export, the run that it came from, and what that came from."""
    versions = find_versions(path)
    facts = read_export(versions[-1])
    stated = {name: facts.get(name) for name in ("run", "kind", "model_sha256", "input")}
    others = [each.name for each in versions[:-1]]
    return {"export": str(versions[-1]), "older_versions": others} | _plain(stated) | describe(facts.get("provenance"))


def describe(provenance):
    """For `videorep inspect`: what a run was made from, by hash, as nested plain values.

    Args:
        provenance: {"versions", "data", "init"} as the run wrote it down, or whatever else its file held.
    """
    provenance = _table(provenance)
    data, init = _table(provenance.get("data")), _table(provenance.get("init"))
    shards = [{"file": str(name), "sha256": str(digest)} for name, digest in _table(data.get("shards")).items()]
    described = {"data": _plain(data | {"shards": None}) | {"shards": shards}}
    if init:
        stated = {name: init.get(name) for name in ("path", "model_sha256")}
        described["initial_weights"] = _plain(stated) | describe(init.get("provenance"))
    return described | {"made_with": _plain(_table(provenance.get("versions")))}


def _table(value):
    return value if isinstance(value, dict) else {}


def _plain(table):
    """A table as text and tables alone, for printing; None is left out."""
    return {
        str(name): _plain(value) if isinstance(value, dict) else str(value)
        for name, value in table.items()
        if value is not None
    }


def verify(path, *, sources=None, backbone=None, decode=False, progress=None):
    """Checks an export, a run or shards, and all that they were made from as far as it is still there.

    Args:
        path: Folder of an export (a version, or all versions), of a run, or of shards, which may lie at a URL.
        sources: Of shards: folder of the videos, or of the clip shards that percepts came from, to be compared too.
        backbone: Of percepts: the `.keras` file, run, or weights file (.h5) of the convnet, to be compared too.
        decode: Whether to decode every image and decompress every percept.
        progress: A reporter of `videorep.progress`, or None for silence.
    Returns:
        (problems, unchecked): sentences.
    Raises:
        VideorepError: `path` is none of these.
    """
    chain = _Chain(decode, progress)
    if versions := find_versions(path):
        for version in versions:
            chain.check_export(version)
    elif is_run(path):
        chain.check_run(path)
    else:
        chain.check_shards(path)
        chain.check_origins(load_dataset(path), sources, backbone)
    return chain.problems, chain.unchecked


class _Chain:
    """Collects sentences while it goes from one link to the next; each folder is looked at once."""

    def __init__(self, decode, progress):
        self.problems, self.unchecked = [], []
        self._decode, self._progress, self._seen = decode, progress, set()

    def check_export(self, version):
        """The files of an export, and the model of the run that it names."""
        with self._told():
            facts = read_export(version)
            self._compare_files(version, _table(facts.get("files")))
            self._check_model(facts.get("run"), facts.get("model_sha256"), str(version))
            self._compare_provenance(facts, version)

    def _compare_files(self, version, files):
        if not files:
            self.unchecked.append(f"the files of {version}: their hashes were not written down")
            return
        linked = sorted(each.relative_to(version).as_posix() for each in version.rglob("*") if each.is_symlink())
        self.problems += [f"{version}: {name} is a symbolic link; export again" for name in linked]
        there = {each.relative_to(version).as_posix() for each in version.rglob("*") if each.is_file()}
        for name in sorted(there - files.keys() - {FACTS.as_posix()}):
            self.problems.append(f"{version}: {name} is not a file of this export; remove it")
        for name, digest in files.items():
            if name not in there:
                self.problems.append(f"{version}: {name} is missing; export again")
            else:
                self._compare(version / name, digest, "export again")

    def _compare_provenance(self, facts, version):
        """What an export repeats of its run's provenance against the run's own."""
        run = facts.get("run")
        if isinstance(run, str) and is_run(run) and load_run(run).provenance != facts.get("provenance"):
            self.problems.append(f"{version}: {FACTS} says other things of its data than {run} does; export again")

    def _check_model(self, run, digest, user):
        """A run's model against the hash that `user` wrote down of it; then the run itself."""
        if not isinstance(run, str) or not isinstance(digest, str):
            self.unchecked.append(f"the run behind {user}: its model's hash was not written down")
        elif not is_run(run):
            self._miss(f"the run {run} behind {user}")
        else:
            model = load_run(run).model_path
            if not model.is_file():
                self._miss(f"{model} behind {user}")
            else:
                self._compare(model, digest, f"{user} came of another model")
            self.check_run(run)

    def check_run(self, path):
        """A run's own files, then its data and the run that it started from."""
        from videorep.training.soundness import find_flaws

        if not self._is_new(path):
            return
        with self._told():
            run = load_run(path)
            self.problems += find_flaws(run)
            if not run.finished:
                self.unchecked.append(f"the model of {path}: the run is not finished")
            self._check_data(_table(run.provenance.get("data")), path)
            if init := _table(run.provenance.get("init")):
                self._check_model(init.get("path"), init.get("model_sha256"), str(path))

    def _check_data(self, data, run):
        """The shards that a run names, by name and hash, against those that are there."""
        folder, stated = data.get("path"), _table(data.get("shards"))
        if not isinstance(folder, str) or not stated:
            self.unchecked.append(f"the data of {run}: it was not read from shards")
            return
        with self._told():
            if not (locate(folder) / MANIFEST).exists():
                self._miss(f"{folder}, the data of {run},")
                return
            same = self._compare_shards(folder, stated, run)
            if same and isinstance(data.get("manifest_sha256"), str):
                self._compare(locate(folder) / MANIFEST, data["manifest_sha256"], f"{run} was made from another")
            self.check_shards(folder)

    def _compare_shards(self, folder, stated, run):
        present = load_dataset(folder).provenance["shards"]
        for name in sorted(stated.keys() | present.keys()):
            before, now = stated.get(name, "no such shard"), present.get(name, "no such shard")
            if before != now:
                self.problems.append(f"{folder}: {name} is {now} in dataset.json, but {run} was made from {before}")
        return stated == present

    def check_shards(self, path):
        """Every byte and record of shards against their dataset.json."""
        from videorep.data.shards.verify import verify_dataset

        if self._is_new(path):
            self.problems += verify_dataset(path, progress=self._progress, decode=self._decode)

    def check_origins(self, dataset, sources, backbone):
        """What shards were made from: videos, clip shards, the weights of a convnet."""
        settings = _table(dataset.made.get("settings"))
        if sources is None:
            self.unchecked.append(f"what {dataset.folder} was made from: name its folder with --sources")
        elif isinstance(settings.get("clips"), dict):
            self._check_data({"path": str(sources), "shards": settings["clips"]}, str(dataset.folder))
        else:
            self._compare_sources(dataset, Path(sources))
        if "weights_sha256" not in settings:
            return
        if backbone is None:
            self.unchecked.append(f"the convnet of {dataset.folder}: name its file with --backbone")
        else:
            self._compare_backbone(settings, backbone)

    def _compare_sources(self, dataset, folder):
        hashes = {entry["path"]: entry["sha256"] for entry in dataset.sources if entry["sha256"]}
        for name, digest in hashes.items():
            if Path(name).is_absolute() or ".." in Path(name).parts:
                self.unchecked.append(f"{name}: it does not lie in {folder}")
            elif not (folder / name).is_file():
                self._miss(folder / name)
            else:
                self._compare(folder / name, digest, "rebuild the shards")

    def _compare_backbone(self, settings, backbone):
        from videorep.data.percepts.backbones import load_backbone

        is_weights = Path(backbone).suffix == ".h5"
        name, weights = (settings.get("backbone"), backbone) if is_weights else (backbone, "imagenet")
        received = load_backbone(name, settings.get("layer"), weights).description["weights_sha256"]
        if received != settings["weights_sha256"]:
            self.problems.append(
                f"{backbone}: its weights have SHA-256 {received}, the percepts came of {settings['weights_sha256']}"
            )

    def _compare(self, path, digest, remedy):
        received = hash_file(path)
        if received != digest:
            self.problems.append(f"{path}: its SHA-256 is {received}, but {digest} was written down; {remedy}")

    @contextlib.contextmanager
    def _told(self):
        """What cannot be read is a problem like others; the rest of the chain is looked at all the same."""
        try:
            yield
        except (VideorepError, OSError) as error:
            self.problems.append(str(error))

    def _miss(self, what):
        self.unchecked.append(f"{what} is not there any more")

    def _is_new(self, path):
        place = str(locate(path).resolve())
        known, self._seen = place in self._seen, self._seen | {place}
        return not known
