"""From options, --config and defaults to the settings of a run.

A parameter named "table__field" sets that field of the configuration.
"""

import click
from click.core import ParameterSource

from videorep.config import ModelConfig, from_dict, read_toml, require
from videorep.errors import ConfigError

SEPARATOR = "__"


def setting(where, *flags, default=None, **attributes):
    """An option that sets one field of the configuration.

    Args:
        where: "table.field", such as "training.steps".
        default: The value in effect without the option, for `--help`; the configuration's own default decides.
    """
    return click.option(
        *flags, where.replace(".", SEPARATOR), default=default, show_default=default not in (None, ()), **attributes
    )


def given(ctx, name):
    """Whether the option was given on the command line."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def read_settings(ctx, config_path):
    """Nested settings: the TOML file, overruled by the options on the command line; defaults are left out."""
    settings = read_toml(config_path) if config_path else {}
    for name, value in ctx.params.items():
        if SEPARATOR in name and given(ctx, name):
            table, field = name.split(SEPARATOR)
            _table(settings, table, config_path)[field] = value
    if any(given(ctx, name) for name in ("units", "layers")):
        model = _table(settings, "model", config_path)
        stacked = model.get("units", ModelConfig().units)
        stacked = list(stacked) if isinstance(stacked, (list, tuple)) else [stacked]
        count = ctx.params["layers"] if given(ctx, "layers") else len(stacked)
        model["units"] = ([ctx.params["units"]] if given(ctx, "units") else stacked[:1]) * count
    return settings


def build_config(cls, settings, config_path):
    """The configuration of these settings; a value that cannot be is bad usage, unless a file may hold it."""
    try:
        return from_dict(cls, settings)
    except ConfigError as error:
        if config_path:
            raise ConfigError(f"{error} (in {config_path} or among the options)") from error
        raise click.UsageError(_name_option(str(error))) from error


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
