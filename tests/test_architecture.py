"""The rules of the house, read off the syntax trees: who may import whom, and what nobody does."""

import ast
import configparser
import itertools
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "videorep"
FILES = sorted(PACKAGE.rglob("*.py"))

# What each part may import of ours, beside itself. errors is a leaf.
LEAVES = {"errors", "bounds", "config", "progress", "storage", "locking", "reports"}
MAY_IMPORT = {
    "errors": set(),
    "bounds": {"errors"},
    "config": {"errors", "bounds", "storage"},
    "progress": set(),
    "reports": set(),
    "storage": {"errors"},
    "locking": {"errors"},
    "xla": set(),
    "layers": {"errors", "config"},
    "models": {"errors", "config", "layers", "xla"},
    "data": LEAVES,
    "runs": {*LEAVES, "models"},
    "training": {*LEAVES, "runs", "models", "layers", "data"},
    "evaluation": {*LEAVES, "runs", "models", "layers", "data"},
    "serving": {*LEAVES, "runs", "models", "layers", "data"},
    "figures": {*LEAVES, "runs", "models", "layers", "data", "evaluation"},
    "provenance": {*LEAVES, "runs", "data", "training"},
    "cli": {*LEAVES, "runs", "models", "data", "training", "evaluation", "serving", "figures", "provenance"},
}
# The percept extractor reads its backbone from a run.
EXCEPTIONS = {("data/backbones.py", "models"), ("data/backbones.py", "runs")}
KERAS_ONLY = ("layers", "models")
LIGHT = ("errors", "bounds", "config", "progress", "storage", "cli")
HEAVY = {"tensorflow", "keras", "numpy", "cv2", "rich", "matplotlib", "pebble"}
# Run in worker processes, which must not load TensorFlow.
WITHOUT_TENSORFLOW = (
    "data/__init__.py",
    "data/video.py",
    "data/records.py",
    "data/workers.py",
    "data/clip_encoding.py",
    "data/images.py",
    "data/dataset_schema.py",
    "data/json_types.py",
    "data/verified.py",
)


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def part_of(path):
    """The part of the package that a file belongs to: "data" of data/shards.py, "runs" of runs.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


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


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_flow_one_way(path):
    part = part_of(path)
    if part == "__init__":
        assert parts_imported(path) == set()
        return
    allowed = MAY_IMPORT[part] | {part} | {other for file, other in EXCEPTIONS if file == name_of(path)}
    assert parts_imported(path) <= allowed


def test_the_rules_have_no_circle():
    for one, other in itertools.permutations(MAY_IMPORT, 2):
        assert not (other in MAY_IMPORT[one] and one in MAY_IMPORT[other])


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
        for module in imported_modules(tree_of(path), at_import_only=True):
            seen.add(module.split(".")[0])
            target = ROOT.joinpath(*module.split(".")).with_suffix(".py")
            if module.startswith("videorep.") and target.exists() and target not in seen:
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
