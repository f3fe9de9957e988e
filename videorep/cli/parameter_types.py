"""What the values of options may look like, where Click has no such type."""

import re

import click

from videorep.build_config import Part
from videorep.errors import ConfigError
from videorep.exports import MODEL_NAME


class FrameSize(click.ParamType):
    """Height and width of frames, written HxW, or their shorter side."""

    name = "HxW|SIDE"

    def convert(self, value, param, ctx):
        if isinstance(value, (int, tuple)):
            return value
        sides = value.lower().split("x")
        if len(sides) > 2 or not all(re.fullmatch("0*[1-9][0-9]{0,8}", side) for side in sides):
            self.fail(f"expected height x width such as 120x160, or a shorter side, received {value!r}", param, ctx)
        return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


class Speed(click.ParamType):
    """A number, or two as LOW:HIGH; `DataConfig` says which may be."""

    name = "S|LOW:HIGH"

    def convert(self, value, param, ctx):
        try:
            return value if isinstance(value, tuple) else tuple(float(each) for each in value.split(":"))
        except ValueError:
            self.fail(f"expected a number such as 0.1, or two such as 0.05:0.2, received {value!r}", param, ctx)


class PartOfAll(click.ParamType):
    """I/N, which becomes a `Part`."""

    name = "I/N"

    def convert(self, value, param, ctx):
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", value)
        if not found:
            self.fail(f"expected I/N such as 2/3, received {value!r}", param, ctx)
        try:
            return Part(int(found[1]), int(found[2]))
        except ConfigError as error:
            self.fail(str(error), param, ctx)


class CommaList(click.ParamType):
    """One or several of `choices`, separated by commas; the option may also be repeated."""

    name = "list"

    def __init__(self, choices):
        self.choices = tuple(choices)

    def get_metavar(self, param, ctx=None):
        return "[" + "|".join(self.choices) + "]"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(","))
        for name in names:
            if name not in self.choices:
                self.fail(f"{name!r} is not one of {', '.join(map(repr, self.choices))}", param, ctx)
        return names


class ServerAddress(click.ParamType):
    """HOST:PORT[/MODEL], which becomes (HOST:PORT, MODEL); without a port gRPC would take that of HTTPS."""

    name = "HOST:PORT[/MODEL]"

    def convert(self, value, param, ctx):
        found = re.fullmatch(r"((?:[^\s/:]+|\[[^\s/\]]+\]):([0-9]{1,5}))(?:/(\S*))?", value)
        if not found or not 0 < int(found[2]) < 1 << 16:
            self.fail(f"expected HOST:PORT or HOST:PORT/MODEL, such as localhost:8500, received {value!r}", param, ctx)
        return found[1], found[3] or MODEL_NAME
