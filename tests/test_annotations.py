"""Every public name's parameters and results have types, and the package says so (`py.typed`)."""

import importlib
import inspect
import typing
from pathlib import Path

import pytest
import tensorflow as tf

import videorep

ROOMS = ("layers", "models", "data", "evaluation")
# Keras asks for these by name, users do not: their types are Keras'.
OF_KERAS = {"build", "compute_output_spec", "example_losses", "from_config"}


def public_functions():
    """(name, function) of every name in a room's `__all__`; of a class its `__init__`, public methods, properties."""
    for room in ROOMS:
        module = importlib.import_module(f"videorep.{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value):
                yield f"{room}.{name}", value
                continue
            for member, of in vars(value).items():
                of = of.fget if isinstance(of, property) else of
                if inspect.isfunction(of) and (member == "__init__" or (member[0] != "_" and member not in OF_KERAS)):
                    yield f"{room}.{name}.{member}", of


@pytest.mark.parametrize("function", [pytest.param(of, id=name) for name, of in public_functions()])
def test_parameters_and_result_have_types(function):
    parameters = inspect.signature(function).parameters
    wanted = {name for number, name in enumerate(parameters) if (number, name) != (0, "self")} | {"return"}
    missing = wanted - typing.get_type_hints(function, localns={"tf": tf}).keys()
    assert not missing


def test_type_checkers_are_told():
    assert (Path(videorep.__file__).parent / "py.typed").is_file()
