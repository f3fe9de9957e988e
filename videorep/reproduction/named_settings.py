"""Named settings of reproductions: the .toml files here, which a file of one's own changes."""

from pathlib import Path

from videorep.config_values import from_dict, read_toml

SCALES = ("laptop", "paper")


def read_settings(cls, name, own=None):
    """The dataclass `cls` of the settings `name`.toml; those of the file `own` overrule them, in their tables too."""
    values = read_toml(Path(__file__).with_name(f"{name}.toml"))
    return from_dict(cls, _overrule(values, read_toml(own) if own else {}), "the settings of a reproduction")


def _overrule(values, others):
    """`values` changed by `others`, table by table."""
    tables = {key for key in others if isinstance(others[key], dict) and isinstance(values.get(key), dict)}
    return values | {key: _overrule(values[key], each) if key in tables else each for key, each in others.items()}
