"""The rules of the house, read off the syntax trees: who may import whom, and what nobody does."""

import ast
import configparser
import graphlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "videorep"
FILES = sorted(PACKAGE.rglob("*.py"))

# What each part may import of ours, beside itself. errors is a leaf.
LEAVES = {"errors", "bounds", "config", "build_config", "progress", "storage", "locking", "reports", "exports"}
MAY_IMPORT = {
    "errors": set(),
    "bounds": {"errors"},
    "config": {"errors", "bounds", "storage"},
    "build_config": {"bounds", "config"},
    "progress": set(),
    "reports": {"errors", "storage"},
    "storage": {"errors"},
    "locking": {"errors"},
    "exports": {"errors", "storage"},
    "xla": set(),
    "layers": {"errors", "config"},
    "models": {"errors", "config", "layers", "xla"},
    "data": LEAVES,
    "runs": {*LEAVES, "models"},
    "training": {*LEAVES, "runs", "models", "layers", "data"},
    "evaluation": {*LEAVES, "runs", "models", "layers", "data"},
    "serving": {*LEAVES, "runs", "models", "layers", "data"},
    "live": {*LEAVES, "runs", "models", "data"},
    "figures": {*LEAVES, "runs", "models", "layers", "data", "evaluation"},
    "provenance": {*LEAVES, "runs", "data", "training"},
    "cli": {*LEAVES, "runs", "models", "data", "training", "evaluation", "serving", "live", "figures", "provenance"},
}
# The percept extractor reads its backbone from a run.
EXCEPTIONS = {("data/percepts/backbones.py", "models"), ("data/percepts/backbones.py", "runs")}
# What each room of data/ may import of the others. What several need and none owns are leaves, files beside the rooms.
DATA_LEAVES = {"threads", "choices", "video_names", "python_functions"}
ROOMS = {
    "threads": set(),
    "choices": set(),
    "video_names": set(),
    "python_functions": {"threads"},
    "shards": DATA_LEAVES,
    "videos": {*DATA_LEAVES, "shards"},
    "digits": {*DATA_LEAVES, "shards"},
    "percepts": {*DATA_LEAVES, "shards"},
    "batches": {*DATA_LEAVES, "shards", "digits", "percepts"},
}
KERAS_ONLY = ("layers", "models")
LIGHT = ("errors", "bounds", "config", "build_config", "progress", "storage", "cli")
HEAVY = {"tensorflow", "keras", "numpy", "cv2", "rich", "matplotlib", "pebble"}
# Run in worker processes, which must not load TensorFlow.
WITHOUT_TENSORFLOW = (
    "data/__init__.py",
    "data/threads.py",
    "data/choices.py",
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
    "data/shards/not_shards.py",
    "data/shards/json_types.py",
    "data/shards/guards.py",
    "data/shards/verified.py",
    "data/videos/__init__.py",
    "data/videos/find.py",
    "data/videos/labels.py",
    "data/videos/official_lists.py",
    "data/videos/leaks.py",
    "data/videos/pieces.py",
    "data/videos/decode.py",
    "data/videos/encode.py",
    "data/videos/estimate.py",
    "data/videos/workers.py",
    "data/percepts/__init__.py",
    "data/percepts/flow.py",
)


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def part_of(path):
    """The part of the package that a file belongs to: "data" of data/shards/read.py, "runs" of runs.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def room_of(path):
    """The room of data/ that a file is in, "shards" of data/shards/read.py; its own name where it lies beside them."""
    return path.relative_to(PACKAGE / "data").parts[0].removesuffix(".py")


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), path.name)


def imported_modules(tree, at_import_only=False):
    """Names of all modules that the code imports, those within functions too unless `at_import_only`."""
    nodes = _outside_functions(tree) if at_import_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _outside_functions(tree):
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from _outside_functions(child)


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


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nobody_catches_everything(path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ExceptHandler):
            caught = getattr(node.type, "id", "everything" if node.type is None else "")
            reraised = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            assert reraised or caught not in ("everything", "Exception", "BaseException"), f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_command_line_prints(path):
    if part_of(path) != "cli":
        calls = {getattr(node.func, "id", "") for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)}
        assert "print" not in calls


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_checks_raise_errors_and_sizes_stay_readable(path):
    tree = tree_of(path)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Assert)], "asserts vanish under python -O"
    assert len(path.read_text().splitlines()) <= 400
    assert path.stem not in ("utils", "helpers", "common", "misc")
    assert ast.get_docstring(tree), "a module says what it is for"


def functions_of(tree):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_function_takes_more_than_eight_parameters(path):
    """Layers and models have Keras' options beside their own; what decides a run or a build is a configuration."""
    for function in functions_of(tree_of(path)):
        given = function.args
        named = [
            each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if each
        ]
        constructor = function.name == "__init__" and part_of(path) in KERAS_ONLY
        if not constructor and function.name != "build_model":
            assert len(set(named) - {"self", "cls"}) <= 8, function.name


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_are_at_most_sixty_lines_beside_their_docstrings(path):
    for function in functions_of(tree_of(path)):
        docstring = function.body[0] if ast.get_docstring(function) else None
        told = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
        assert function.end_lineno - function.lineno + 1 - told <= 60, function.name


def test_the_package_does_not_know_the_tools():
    for path in FILES:
        assert not {"tools", "tests"} & {module.split(".")[0] for module in imported_modules(tree_of(path))}


def test_commands_are_small():
    for path in (PACKAGE / "cli").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 200, path.name


def test_every_folder_is_a_package():
    assert {path.parent for path in FILES} == {path.parent for path in PACKAGE.rglob("__init__.py")}


# Where the module's name is not the distribution's. TensorFlow brings protobuf and reads events for TensorBoard.
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow", "google": "tensorflow"}
NOT_IMPORTED = {"tensorboard"}
OF_AN_EXTRA = {"tensorflow_io": "remote"}


def test_setup_declares_what_the_package_imports_and_nothing_else():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    declared = {
        re.match(r"[\w-]+", line)[0] for line in setup["options"]["install_requires"].split("\n") if line.strip()
    }
    roots = {module.split(".")[0] for path in FILES for module in imported_modules(tree_of(path))}
    for root, extra in OF_AN_EXTRA.items():
        assert root in roots and root.replace("_", "-") in setup["options.extras_require"][extra]
    imported = {
        DISTRIBUTIONS.get(root, root) for root in roots - OF_AN_EXTRA.keys() - sys.stdlib_module_names - {"videorep"}
    }
    assert imported <= declared
    assert declared <= imported | NOT_IMPORTED


# What an extra brings beside modules that somebody imports: CUDA libraries, a linter, an S3 server that tests start.
NOT_IMPORTED_OF_EXTRAS = {"tensorflow", "ruff", "moto"}


def test_every_extra_is_imported_by_the_package_its_tools_or_its_tests():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = "\n".join(setup["options.extras_require"].values()).replace(";", "\n").split("\n")
    names = {re.match(r"\s*([\w-]+)", line)[1] for line in lines if line.strip()}
    paths = [*FILES, *(ROOT / "tools").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    roots = {module.split(".")[0] for path in paths for module in imported_modules(tree_of(path))}
    assert {name.replace("-", "_") for name in names - NOT_IMPORTED_OF_EXTRAS} <= roots
