"""The package's files as syntax trees."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "videorep"
FILES = sorted(PACKAGE.rglob("*.py"))
KERAS_ONLY = ("layers", "models")


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def part_of(path):
    """The part of the package that a file belongs to: "data" of data/shards/read.py, "runs" of runs.py."""
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
