"""Commands with their workers replaced, so that a test sees what a worker would receive."""

import sys
import types

import pytest
from click.testing import CliRunner

from videorep.cli.main import videorep_command


def words(text):
    return text.split()


def handed_over(command, module, function, *arguments):
    """The positional and the named arguments with which a command calls its worker, `function` of `module`."""
    calls = []

    def worker(*positional, **named):
        calls.append((positional, named))
        return {"run": "runs/x", "loss": 1.5}

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module, types.SimpleNamespace(**{function: worker}))
        result = CliRunner().invoke(videorep_command, [*command.split(), *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return calls[0]


def pretrain(*arguments):
    """The configuration and the named arguments that `videorep pretrain` hands over."""
    command = "pretrain moving-mnist --out runs/x"
    positional, named = handed_over(command, "videorep.training.pretrain", "pretrain", *arguments)
    assert positional[1] == "runs/x"
    return positional[0], named


def finetune(*arguments):
    """The configuration and the named arguments that `videorep finetune` hands over."""
    command = "finetune shards --out runs/x"
    positional, named = handed_over(command, "videorep.training.finetune", "finetune", *arguments)
    return positional[0], named


def fails(*arguments):
    """The exit status and the message of a command that is to fail."""
    result = CliRunner().invoke(videorep_command, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result.exit_code, result.stderr
