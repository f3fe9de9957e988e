"""What nobody does in this package, and how large a file, a function and a list of parameters may be."""

import ast
import statistics

import pytest
from syntax_trees import FILES, KERAS_ONLY, PACKAGE, ROOT, name_of, part_of, tree_of


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
def test_checks_raise_errors_and_modules_say_what_they_are_for(path):
    tree = tree_of(path)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Assert)], "asserts vanish under python -O"
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


def lines_of(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def test_commands_are_small():
    for path in (PACKAGE / "cli").glob("*.py"):
        assert lines_of(path) <= 200, path.name


def test_no_file_is_longer_than_three_hundred_lines():
    paths = [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]
    assert {path.relative_to(ROOT).as_posix(): lines_of(path) for path in paths if lines_of(path) > 300} == {}


def test_half_of_the_modules_are_of_at_most_120_lines():
    assert statistics.median(map(lines_of, FILES)) <= 120
