"""A Click group that imports a command's module when the command is asked for."""

import importlib

import click


class LazyGroup(click.Group):
    """Group whose commands live in modules of their own: {name: "module:attribute"}, in the order of `--help`."""

    def __init__(self, *args, commands_in=(), **kwargs):
        super().__init__(*args, **kwargs)
        self._commands_in = dict(commands_in)

    def list_commands(self, ctx):
        return list(self._commands_in)

    def get_command(self, ctx, name):
        if name not in self._commands_in:
            return None
        module, attribute = self._commands_in[name].split(":")
        return getattr(importlib.import_module(module), attribute)
