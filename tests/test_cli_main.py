"""The program as a whole: help, speed, exit statuses and sentences."""

import errno
import os
import subprocess
import sys
import types
import warnings

import click
import pytest
from click.testing import CliRunner
from made_up_command import command_of

import videorep
from videorep.cli.main import videorep_command
from videorep.errors import ShardError, VideorepWarning

HEAVY = ("tensorflow", "keras", "numpy", "cv2", "rich", "matplotlib", "pebble")


def run_program(*arguments, **environment):
    """Runs `videorep` as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "videorep.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def all_commands():
    """Every command's words, such as ("build-shards", "clips")."""
    context = click.Context(videorep_command)
    for name in videorep_command.list_commands(context):
        command = videorep_command.get_command(context, name)
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, inner) for inner in command.list_commands(context))


def raising(error):
    @click.command()
    def fail():
        raise error

    return fail


@pytest.fixture
def invoke_failing(monkeypatch):
    """Runs the program with a command that raises `error`."""

    def invoke(error):
        monkeypatch.setattr(type(videorep_command), "get_command", lambda self, ctx, name: raising(error))
        return CliRunner().invoke(videorep_command, ["fail"])

    return invoke


def test_version():
    assert CliRunner().invoke(videorep_command, ["--version"]).output == f"videorep {videorep.__version__}\n"


@pytest.mark.parametrize("words", [(), *all_commands()], ids=" ".join)
def test_every_help_explains_itself(words):
    result = CliRunner().invoke(videorep_command, [*words, "--help"])
    assert result.exit_code == 0
    assert "videorep" in result.output
    if words and words != ("build-shards",):
        assert "Example" in result.output
        assert f"  videorep {' '.join(words)} " in result.output, "a worked example"


def test_help_imports_nothing_heavy():
    program = (
        "import sys, contextlib\n"
        "from videorep.cli.main import videorep_command\n"
        f"for words in {[(), *all_commands()]!r}:\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        videorep_command.main([*words, '--help'], prog_name='videorep')\n"
        f"print('imported', [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stderr == "imported []\n"


def test_unknown_command_is_bad_usage():
    result = CliRunner().invoke(videorep_command, ["pretrian"])
    assert result.exit_code == 2
    assert "No such command 'pretrian'" in result.output


def test_videorep_error_is_one_sentence(invoke_failing):
    result = invoke_failing(ShardError("expected 8 shards, found 7; build again"))
    assert result.exit_code == 1
    assert result.stderr == "Error: expected 8 shards, found 7; build again\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    "number, remedy",
    [(errno.ENOSPC, "free some space"), (errno.EACCES, "permissions"), (errno.EIO, "check the disk")],
)
def test_operating_system_error_names_path_and_remedy(invoke_failing, number, remedy):
    result = invoke_failing(OSError(number, os.strerror(number), "/mnt/full/shard"))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: expected to read and write files at /mnt/full/shard, received: ")
    assert os.strerror(number) in result.stderr and remedy in result.stderr
    assert result.stderr.count("\n") == 1


def pretrain_raising(monkeypatch, error, out, *options):
    """Runs `videorep pretrain` with a worker that raises `error`."""

    def fail(*_, **__):
        raise error

    monkeypatch.setitem(sys.modules, "videorep.training.pretrain", types.SimpleNamespace(pretrain=fail))
    return CliRunner().invoke(videorep_command, ["pretrain", "moving-mnist", "--out", out, *options])


def test_operating_system_error_without_a_path_names_the_output(monkeypatch):
    result = pretrain_raising(monkeypatch, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "runs/full")
    assert result.exit_code == 1
    assert "at runs/full, received: No space left on device" in result.stderr


def test_interrupted_command_tells_how_to_resume(monkeypatch):
    result = pretrain_raising(monkeypatch, KeyboardInterrupt(), "runs/x")
    assert result.exit_code == 130
    assert result.stderr == "\nInterrupted: give the same command again with --resume to go on.\n"


@pytest.mark.parametrize("options", [["--dry-run"], ["--dry-run", "--resume"]])
def test_an_interrupted_dry_run_began_nothing_to_go_on_with(monkeypatch, options):
    result = pretrain_raising(monkeypatch, KeyboardInterrupt(), "runs/x", *options)
    assert (result.exit_code, result.stderr) == (130, "\nInterrupted.\n")


def test_interrupted_command_without_resume(invoke_failing):
    result = invoke_failing(KeyboardInterrupt())
    assert result.exit_code == 130
    assert result.stderr == "\nInterrupted.\n"


def run_body(body, **environment):
    return subprocess.run(
        command_of(body),
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_defect_is_told_without_a_traceback():
    result = run_body("raise TypeError('first line\\nsecond line')")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: unexpected TypeError: first line; this looks like a defect of videorep")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("error", ["TypeError('odd')", "program.VideorepError('odd')"])
def test_traceback_on_request(error):
    result = run_body(f"raise {error}", VIDEOREP_TRACEBACK="1")
    assert result.returncode != 0
    assert "Traceback" in result.stderr


def test_a_warning_is_one_line(monkeypatch):
    @click.command()
    def warn():
        for _ in range(2):
            warnings.warn("the loss rose", VideorepWarning, stacklevel=1)
        print("done")

    monkeypatch.setattr(type(videorep_command), "get_command", lambda self, ctx, name: warn)
    result = CliRunner().invoke(videorep_command, ["warn"])
    assert (result.stdout, result.stderr) == ("done\n", "Warning: the loss rose\n" * 2)
