"""From options, --config and defaults to the configuration of a run or a build.

A parameter named "field" or "table__field" sets that field of the configuration.
"""

import dataclasses

import click
from click.core import ParameterSource

from videorep.config import ModelConfig, require
from videorep.config_values import from_dict, read_toml
from videorep.errors import ConfigError

SEPARATOR = "__"


def setting(where, *flags, default=None, **attributes):
    """An option that sets a field, "table.field"; any other sets the field of its name.

    `default` is what is in effect without it, for `--help`; the configuration's own default decides.
    """
    return click.option(*flags, where.replace(".", SEPARATOR), default=default, **attributes)


def given(ctx, name):
    """Whether the option was given on the command line."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def read_config(ctx, cls):
    """The configuration of a command line: defaults, overruled by the TOML file, overruled by the options given.

    A value that cannot be is bad usage, unless a file may hold it.
    """
    return read_configs(ctx, cls)[0]


def read_configs(ctx, *classes):
    """As `read_config`, of a command whose options and TOML file have the fields of several configurations."""
    path, names = ctx.params["config_path"], [{field.name for field in dataclasses.fields(cls)} for cls in classes]
    settings = _read_settings(ctx, set().union(*names), path)
    unknown = settings.keys() - set().union(*names)  # the first one says so
    try:
        return [
            from_dict(cls, {name: settings[name] for name in settings if name in own | unknown})
            for cls, own in zip(classes, names, strict=True)
        ]
    except ConfigError as error:
        if path:
            raise ConfigError(f"{error} (in {path} or among the options)") from error
        raise click.UsageError(_name_option(str(error))) from error


def _read_settings(ctx, fields, path):
    settings = read_toml(path) if path else {}
    for name, value in ctx.params.items():
        if given(ctx, name) and name in fields:
            settings[name] = value
        elif given(ctx, name) and SEPARATOR in name:
            table, field = name.split(SEPARATOR)
            _table(settings, table, path)[field] = value
    if "model" in fields and any(given(ctx, name) for name in ("units", "layers")):
        model = _table(settings, "model", path)
        stacked = model.get("units", ModelConfig().units)
        stacked = list(stacked) if isinstance(stacked, (list, tuple)) else [stacked]
        count = ctx.params["layers"] if given(ctx, "layers") else len(stacked)
        model["units"] = ([ctx.params["units"]] if given(ctx, "units") else stacked[:1]) * count
    return settings


def _name_option(sentence):
    """The sentence on a field of the configuration as one on the option that sets it, where there is one."""
    for option in click.get_current_context().command.params:
        field = f"expected {option.name.split(SEPARATOR)[-1]} to be "
        if isinstance(option, click.Option) and sentence.startswith(field):
            return f"expected {option.opts[0]} to be {sentence.removeprefix(field)}"
    return sentence


def _table(settings, name, config_path):
    table = settings.setdefault(name, {})
    require(isinstance(table, dict), f"{name} in {config_path}", "a table of settings", table)
    return table
