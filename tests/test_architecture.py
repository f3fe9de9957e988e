"""Who may import whom, read off the syntax trees."""

import graphlib

import pytest
from syntax_trees import FILES, KERAS_ONLY, PACKAGE, ROOT, imported_modules, name_of, part_of, tree_of

# What each part may import of ours, beside itself. errors is a leaf.
CONFIGS = {"config", "config_values", "build_config", "comparison_config", "recipes"}
LEAVES = {*CONFIGS, "errors", "bounds", "progress", "storage", "locking", "metrics_file", "exports", "writing", "quiet"}
MAY_IMPORT = {
    "errors": set(),
    "bounds": {"errors"},
    "recipes": set(),
    "config": {"bounds", "recipes"},
    "config_values": {"errors", "bounds", "storage"},
    "build_config": {"bounds", "config"},
    "comparison_config": {"bounds", "config"},
    "progress": set(),
    "metrics_file": {"errors", "storage"},
    "storage": {"errors"},
    "writing": {"errors"},
    "quiet": set(),
    "locking": {"errors"},
    "exports": {"errors", "storage", "config_values"},
    "xla": set(),
    "layers": {"errors", "config"},
    "models": {"errors", "config", "config_values", "layers", "xla"},
    "data": LEAVES,
    "runs": {*LEAVES, "models"},
    "training": {*LEAVES, "runs", "models", "layers", "data"},
    "evaluation": {*LEAVES, "runs", "models", "layers", "data"},
    "serving": {*LEAVES, "runs", "models", "data", "live"},
    "live": {*LEAVES, "runs", "models", "data", "evaluation"},
    "demo": {*LEAVES, "data", "live"},
    "figures": {*LEAVES, "runs", "models", "layers", "data", "evaluation"},
    "comparison": {*LEAVES, "runs", "models", "data", "training", "evaluation"},
    "reproduction": {*LEAVES, "runs", "data", "training", "evaluation", "figures", "comparison"},
    "report": {*LEAVES, "data", "figures"},
    "provenance": {*LEAVES, "runs", "data", "training"},
    "cli": {
        *LEAVES,
        "runs",
        "models",
        "data",
        "training",
        "evaluation",
        "serving",
        "figures",
        "provenance",
        "comparison",
        "reproduction",
        "report",
        "live",
        "demo",
    },
}
# The percept extractor reads its backbone from a run.
EXCEPTIONS = {
    ("data/percepts/backbones.py", "runs"),
    ("data/percepts/backbone_sources.py", "models"),
    ("data/percepts/backbone_sources.py", "runs"),
    ("data/percepts/hub.py", "models"),
}
# What each room of data/ may import of the others. What several need and none owns are leaves, files beside the rooms.
DATA_LEAVES = {"threads", "sampling", "video_names", "python_functions", "array_files"}
ROOMS = {
    "threads": set(),
    "sampling": set(),
    "video_names": set(),
    "python_functions": {"threads"},
    "array_files": set(),
    "shards": DATA_LEAVES,
    "videos": {*DATA_LEAVES, "shards"},
    "digits": {*DATA_LEAVES, "shards"},
    "percepts": {*DATA_LEAVES, "shards", "videos"},
    "features": {*DATA_LEAVES, "shards", "videos"},
    "batches": {*DATA_LEAVES, "shards", "digits", "percepts"},
}
LIGHT = ("errors", "bounds", *sorted(CONFIGS), "progress", "storage", "quiet", "cli")
HEAVY = {"tensorflow", "keras", "numpy", "cv2", "rich", "matplotlib", "pebble"}
# Run in worker processes, which must not load TensorFlow.
WITHOUT_TENSORFLOW = (
    "data/__init__.py",
    "data/threads.py",
    "data/sampling.py",
    "data/video_names.py",
    "data/shards/__init__.py",
    "data/shards/keys.py",
    "data/shards/wire.py",
    "data/shards/records.py",
    "data/shards/plan.py",
    "data/shards/encode.py",
    "data/shards/images.py",
    "data/shards/hashes.py",
    "data/shards/dataset.py",
    "data/shards/manifest.py",
    "data/shards/manifest_schema.py",
    "data/shards/tables.py",
    "data/shards/table_schema.py",
    "data/shards/not_shards.py",
    "data/shards/json_types.py",
    "data/shards/guards.py",
    "data/shards/hash_cache.py",
    "data/videos/__init__.py",
    "data/videos/find.py",
    "data/videos/labels.py",
    "data/videos/official_lists.py",
    "data/videos/leaks.py",
    "data/videos/pieces.py",
    "data/videos/segments.py",
    "data/videos/decode.py",
    "data/videos/encode.py",
    "data/videos/frame_batches.py",
    "data/videos/estimate.py",
    "data/videos/job.py",
    "data/videos/messages.py",
    "data/videos/workers.py",
    "data/array_files.py",
    "data/features/__init__.py",
    "data/features/arrays.py",
    "data/features/find.py",
    "data/percepts/__init__.py",
    "data/percepts/flow.py",
)


def room_of(path):
    """The room of data/ that a file is in, "shards" of data/shards/read.py; its own name where it lies beside them."""
    return path.relative_to(PACKAGE / "data").parts[0].removesuffix(".py")


def parts_imported(path):
    """The parts of videorep that a file imports; `import videorep` itself counts as none."""
    names = (module.split(".") for module in imported_modules(tree_of(path)))
    return {name[1] for name in names if name[0] == "videorep" and len(name) > 1} - {"__version__"}


def rooms_imported(path):
    """The rooms of data/, and the files beside them, that a file imports."""
    names = (module.split(".") for module in imported_modules(tree_of(path)))
    return {name[2] for name in names if name[:2] == ["videorep", "data"] and len(name) > 2}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_flow_one_way(path):
    part = part_of(path)
    if part == "__init__":
        assert parts_imported(path) == set()
        return
    allowed = MAY_IMPORT[part] | {part} | {other for file, other in EXCEPTIONS if file == name_of(path)}
    assert parts_imported(path) <= allowed


DATA_FILES = [path for path in FILES if part_of(path) == "data"]


@pytest.mark.parametrize("path", DATA_FILES, ids=name_of)
def test_imports_between_the_rooms_of_data_flow_one_way(path):
    room = room_of(path)
    if room == "__init__":
        assert rooms_imported(path) == set()
        return
    assert rooms_imported(path) <= ROOMS[room] | {room}


@pytest.mark.parametrize("path", DATA_FILES, ids=name_of)
def test_rooms_of_data_name_where_things_are(path):
    """No room imports through the package's front door or another room's: names come from the module that has them."""
    modules = set(imported_modules(tree_of(path)))
    assert not {f"videorep.data.{name}" for name in ("MovingMNIST", "read_shards", "write_shards")} & modules
    if path.name == "__init__.py" and path.parent != PACKAGE / "data":
        assert modules == set(), "the door of a room imports nothing: whoever passes needs one module behind it"


def test_every_room_of_data_has_a_rule():
    assert {room_of(path) for path in DATA_FILES} == {"__init__", *ROOMS}


@pytest.mark.parametrize("rules", [MAY_IMPORT, ROOMS], ids=["parts", "rooms"])
def test_the_rules_have_no_circle(rules):
    graphlib.TopologicalSorter(rules).prepare()  # raises CycleError


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) in KERAS_ONLY], ids=name_of)
def test_layers_and_models_are_keras_only(path):
    roots = {module.split(".")[0] for module in imported_modules(tree_of(path))}
    assert not roots & {"tensorflow", "jax", "torch"}


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) in LIGHT], ids=name_of)
def test_what_help_needs_is_light(path):
    roots = {module.split(".")[0] for module in imported_modules(tree_of(path), at_import_only=True)}
    assert not roots & HEAVY
    parts = {module.split(".")[1] for module in imported_modules(tree_of(path), True) if module.startswith("videorep.")}
    assert parts <= {"cli", *LEAVES}


@pytest.mark.parametrize("name", WITHOUT_TENSORFLOW)
def test_decode_workers_do_not_load_tensorflow(name):
    def reachable(path, seen):
        modules = [*imported_modules(tree_of(path), at_import_only=True), ".".join(path.relative_to(ROOT).parts[:-1])]
        for module in modules:
            parts = module.split(".")
            seen.add(parts[0])
            doors = [ROOT.joinpath(*parts[:length], "__init__.py") for length in range(1, len(parts) + 1)]
            for target in [*doors, ROOT.joinpath(*parts).with_suffix(".py")]:
                if parts[0] == "videorep" and target.exists() and target not in seen:
                    seen.add(target)
                    reachable(target, seen)
        return seen

    assert not reachable(PACKAGE / name, set()) & {"tensorflow", "keras"}


def test_the_package_does_not_know_the_tools():
    for path in FILES:
        assert not {"tools", "tests"} & {module.split(".")[0] for module in imported_modules(tree_of(path))}


def test_every_folder_is_a_package():
    assert {path.parent for path in FILES} == {path.parent for path in PACKAGE.rglob("__init__.py")}
