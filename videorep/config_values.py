"""Configurations as plain values: nested dicts, JSON and TOML. No TensorFlow."""

import dataclasses
import json
import tomllib
import types
import typing

from videorep.bounds import LARGEST_FLOAT, require
from videorep.errors import ConfigError, RunError
from videorep.storage import read_file

TOML_BYTES = 1 << 16
TOML_DOTS = 100  # in a line: a key of many parts takes memory and time that grow with their square


def from_dict(cls, values, where="configuration"):
    """Builds dataclass `cls` from nested plain values.

    Raises:
        ConfigError: an unknown key, or a value of the wrong type.
    """
    require(isinstance(values, dict), where, "a table of settings", values)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in values:
        require(key in fields, f"every key of {where}", f"one of {', '.join(fields)}", key)
    hints = typing.get_type_hints(cls)
    return cls(**{key: _convert(hints[key], value, f"{where}.{key}") for key, value in values.items()})


def _convert(hint, value, where):
    if isinstance(hint, types.UnionType):  # the kind that the value is of, or can be made into: the first
        kinds = typing.get_args(hint)
        hint = next((kind for kind in kinds if isinstance(value, typing.get_origin(kind) or kind)), kinds[0])
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where)
    if typing.get_origin(hint) is typing.Literal:
        (kind,) = typing.get_args(hint)
        require(value == kind, where, repr(kind), value)
        return value
    if typing.get_origin(hint) is tuple:
        items = value if isinstance(value, (list, tuple)) else [value]  # one value is a list of one
        element = typing.get_args(hint)[0]
        return tuple(_convert(element, item, where) for item in items)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        require(abs(value) <= LARGEST_FLOAT, where, f"at most {LARGEST_FLOAT:g}", value)
        return float(value)
    fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    require(fits, where, f"of type {hint.__name__}", value)
    require(hint is not str or "\0" not in value, where, "text without zero bytes", value)
    return value


def to_dict(config):
    """The nested plain values of a configuration."""
    return dataclasses.asdict(config)


def to_json(config):
    """The configuration as indented JSON, keys in the order of their fields."""
    return json.dumps(to_dict(config), indent=2) + "\n"


def read_json(path, what, remedy):
    """Reads a JSON object that videorep wrote into a run or an export.

    Raises a RunError that expected `what` where it cannot be read, or is something else.
    """
    try:
        values = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise RunError(f"expected {what} in {path}, which cannot be read; {remedy}") from error
    if not isinstance(values, dict):
        raise RunError(f"expected {what} in {path}, which holds something else; {remedy}")
    return values


def read_toml(path):
    """Reads a TOML file into nested plain values.

    Raises:
        ConfigError: the file is missing, is not TOML, or is larger than any file of settings.
    """
    try:
        text = read_file(path, TOML_BYTES)
        deepest = max(line.count(b".") for line in text.split(b"\n"))
        require(deepest <= TOML_DOTS, f"{path}", f"lines of at most {TOML_DOTS} dots", f"one of {deepest:,}")
        return tomllib.loads(text.decode())
    except OSError as error:
        raise ConfigError(
            f"expected a readable TOML file at {path}, received: {error.strerror}; check --config"
        ) from error
    except ConfigError:
        raise
    except RecursionError as error:
        raise ConfigError(f"expected TOML in {path}, received lists or tables too deep; mend the file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected TOML in {path}, received: {error}; mend the file") from error
    except ValueError as error:
        raise ConfigError(f"expected TOML in {path}, received a number of too many digits; mend the file") from error
