"""Where a model came from: export, run, shards and their sources, each link held to the hash that was written down.

Only what is still where it was is checked; what is not is named, and does not count against the rest.
"""

import contextlib
from pathlib import Path

from videorep.data.shards.dataset import MANIFEST
from videorep.data.shards.hashes import hash_file
from videorep.data.shards.manifest import load_dataset, read_manifest
from videorep.errors import VideorepError
from videorep.exports import facts_of, find_versions, read_export
from videorep.runs import CONFIG, PROVENANCE, is_run, load_run
from videorep.storage import is_no_regular_file, is_url, locate


def describe_export(path):
    """For `videorep inspect`: the newest version of an export, the run that it came from, and what that came from."""
    versions = find_versions(path)
    facts = read_export(versions[-1])
    stated = {name: facts.get(name) for name in ("format", "run", "kind", "model_sha256", "input", "state", "clips")}
    others = [each.name for each in versions[:-1]]
    named = {"signatures": list(_table(facts.get("signatures")))}
    if "checked" in facts:
        named["checked"] = facts["checked"] is True
    top = {"export": str(versions[-1]), "older_versions": others}
    return top | _plain(stated) | named | describe(facts.get("provenance"))


def describe(provenance):
    """For `videorep inspect`: what a run was made from, by hash, as nested plain values.

    Args:
        provenance: {"versions", "data", "init"} as the run wrote it down, or whatever else its file held.
    """
    provenance = _table(provenance)
    data, init = _table(provenance.get("data")), _table(provenance.get("init"))
    folders = [_table(each) for each in (data, *_list(data.get("also")))]
    described = {f"data_{number}" if number > 1 else "data": _data(each) for number, each in enumerate(folders, 1)}
    if init:
        stated = {name: init.get(name) for name in ("path", "model_sha256")}
        described["initial_weights"] = _plain(stated) | describe(init.get("provenance"))
    return described | {"made_with": _plain(_table(provenance.get("versions")))}


def _data(data):
    """A folder of shards that a run was made from, as text."""
    shards = [{"file": str(name), "sha256": str(digest)} for name, digest in _table(data.get("shards")).items()]
    return _plain(data | {"shards": None, "also": None}) | {"shards": shards}


def _table(value):
    return value if isinstance(value, dict) else {}


def _list(value):
    return value if isinstance(value, list) else []


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
        sources: Of shards, or of those that the run was trained on: folder of the videos, or of the clip shards that
            percepts came from, to be compared too.
        backbone: Of percepts likewise: the `.keras` file, run, or weights file (.h5) of the convnet.
        decode: Whether to decode every image and decompress every percept.
        progress: A reporter of `videorep.progress`, or None for silence.
    Returns:
        (problems, unchecked): sentences.
    Raises:
        VideorepError: `path` is none of these.
    """
    chain = _Chain(decode, progress, sources, backbone)
    if versions := find_versions(path):
        for version in reversed(versions):
            chain.check_export(version)
    elif is_run(path):
        chain.check_run(path)
    else:
        chain.check_shards(path, sources, backbone)
    return chain.problems, chain.unchecked


class _Chain:
    """Collects sentences while it goes from one link to the next; each folder is looked at once.

    What the caller names as origins are those of the first data, which are the newest run's own.
    """

    def __init__(self, decode, progress, sources, backbone):
        self.problems, self.unchecked = [], []
        self._origins = sources, backbone
        self._decode, self._progress, self._seen = decode, progress, set()

    def check_export(self, version):
        """The files of an export, and the model of the run that it names."""
        with self._told():
            facts = read_export(version)
            self._compare_files(version, _table(facts.get("files")))
            if facts.get("checked") is False:
                self.unchecked.append(f"the answers of {version}: no other program gave them when it was exported")
            run, settings = facts.get("run"), facts.get("config_sha256")
            if isinstance(run, str) and isinstance(settings, str) and (Path(run) / CONFIG).is_file():
                self._compare(Path(run) / CONFIG, settings, f"{version} came of other settings")
            self._check_model(run, facts.get("model_sha256"), str(version))
            if self._has_changed(run, facts.get("provenance")):
                self.problems.append(
                    f"{version}: {facts_of(version)} says other things of its data than {run} does; export again"
                )

    def _compare_files(self, version, files):
        if not files:
            self.unchecked.append(f"the files of {version}: their hashes were not written down")
            return
        linked = sorted(each.relative_to(version).as_posix() for each in version.rglob("*") if each.is_symlink())
        self.problems += [f"{version}: {name} is a symbolic link; export again" for name in linked]
        for each in sorted(version.rglob("*")):
            if is_no_regular_file(each) and not each.is_dir():
                self.problems.append(f"{each}: no regular file; export again")
        there = {each.relative_to(version).as_posix() for each in version.rglob("*") if each.is_file()}
        for name in sorted(there - files.keys() - {facts_of(version).as_posix()}):
            self.problems.append(f"{version}: {name} is not a file of this export; remove it")
        for name, digest in files.items():
            if name not in there:
                self.problems.append(f"{version}: {name} is missing; export again")
            else:
                self._compare(version / name, digest, "export again")

    def _has_changed(self, run, provenance):
        """Whether a run's own provenance differs from what was written down of it elsewhere."""
        return isinstance(run, str) and is_run(run) and load_run(run).provenance != provenance

    def _check_model(self, run, digest, user):
        """A run's model against the hash that `user` wrote down of it; then the run itself."""
        if not isinstance(run, str) or not isinstance(digest, str):
            self.unchecked.append(f"the run behind {user}: its model's hash was not written down")
        elif self._is_there(Path(run) / CONFIG, f"the run {run} behind {user}"):
            model = load_run(run).model_path
            if model.is_file():
                self._compare(model, digest, f"{user} came of another model")
            elif not model.exists():
                self._miss(f"{model} behind {user}", model)
            self.check_run(run)

    def check_run(self, path):
        """A run's own files, then its data and the run that it started from."""
        from videorep.training.soundness import find_flaws

        if not self._is_new(path):
            return
        with self._told():
            run = load_run(path)
            self.problems += find_flaws(run)
            if not run.model_path.exists():
                self.unchecked.append(f"the model of {path}: the run is not finished")
            origins, self._origins = self._origins, (None, None)
            data = _table(run.provenance.get("data"))
            self._check_data(data, path, *origins)
            for more in _list(data.get("also")):
                self._check_data(_table(more), path)
            if init := _table(run.provenance.get("init")):
                self._check_model(init.get("path"), init.get("model_sha256"), str(path))
                if self._has_changed(init.get("path"), init.get("provenance")):
                    self.problems.append(
                        f"{path}: its {PROVENANCE} says other things of {init['path']}, from which it started, than "
                        "that run's own does; restore the one that was changed"
                    )

    def _check_data(self, data, run, sources=None, backbone=None):
        """The shards that a run names, by name and hash, against those that are there."""
        folder, stated = data.get("path"), _table(data.get("shards"))
        if not isinstance(folder, str) or not stated:
            self.unchecked.append(f"the data of {run}: it was not read from shards")
            return
        with self._told():
            if not (locate(folder) / MANIFEST).exists():
                self._miss(f"{folder}, the data of {run},", folder)
                return
            same = self._compare_shards(folder, stated, run)
            if same and isinstance(data.get("manifest_sha256"), str):
                self._compare(locate(folder) / MANIFEST, data["manifest_sha256"], f"{run} was made from another")
            self.check_shards(folder, sources, backbone)

    def _compare_shards(self, folder, stated, run):
        present = load_dataset(folder).provenance["shards"]
        for name in sorted(stated.keys() | present.keys()):
            before, now = stated.get(name, "no such shard"), present.get(name, "no such shard")
            if before != now:
                self.problems.append(f"{folder}: {name} is {now} in dataset.json, but {run} was made from {before}")
        return stated == present

    def check_shards(self, path, sources=None, backbone=None):
        """Every byte and record of shards against their dataset.json; then what they were made from."""
        from videorep.data.shards.verify import verify_dataset

        if not self._is_new(path):
            return
        self.problems += verify_dataset(path, progress=self._progress, decode=self._decode)
        dataset, intact = read_manifest(path)
        settings, known = _table(dataset.made.get("settings")), f"name it with videorep verify {path}"
        if not intact:
            self.unchecked.append(f"what {path} was made from: its {MANIFEST} was edited")
            return
        with self._told():
            self._check_sources(dataset, settings.get("clips"), sources, known)
        if "weights_sha256" in settings and backbone is None:
            self.unchecked.append(f"the convnet of {path}: {known} --backbone FILE")
        elif "weights_sha256" in settings:
            with self._told():
                self._compare_backbone(settings, backbone)

    def _check_sources(self, dataset, clips, sources, known):
        """The clip shards, or the videos, that shards were made from."""
        files = ({"file": entry["path"], "file_sha256": entry["sha256"]} | entry for entry in dataset.sources)
        hashes = {str(each["file"]): each["file_sha256"] for each in files if each["file_sha256"]}
        if not clips and not hashes:
            self.unchecked.append(f"what {dataset.folder} was made from: no hash of a video or shard is in it")
        elif sources is None:
            self.unchecked.append(f"what {dataset.folder} was made from: {known} --sources FOLDER")
        elif isinstance(clips, dict):
            self._check_data({"path": str(sources), "shards": clips}, str(dataset.folder))
        else:
            self._compare_sources(hashes, Path(sources))

    def _compare_sources(self, hashes, folder):
        for name, digest in hashes.items():
            if Path(name).is_absolute() or ".." in Path(name).parts:
                self.unchecked.append(f"{name}: it does not lie in {folder}")
            elif self._is_there(folder / name, folder / name):
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
            if str(error) not in self.problems:
                self.problems.append(str(error))

    def _is_there(self, path, what):
        """Whether a file is there; says so where it is gone, or where something else is in its place."""
        if path.is_file():
            return True
        if path.exists():
            self.problems.append(f"{path}: no regular file; restore it")
        else:
            self._miss(what, path)
        return False

    def _miss(self, what, path):
        gone = "not there any more"
        if not is_url(path) and not Path(path).is_absolute():
            gone = f"not at this relative path from the current folder, {Path.cwd()}; verify from where it was named so"
        self.unchecked.append(f"{what} is {gone}")

    def _is_new(self, path):
        place = str(locate(path).resolve())
        known, self._seen = place in self._seen, self._seen | {place}
        return not known
