"""The program with one command that a test makes up, to be run in a process of its own."""

import sys

PROGRAM = """
import click, sys, time
import videorep.cli.main as program
@click.command()
def fail():
    {body}
program.VideorepGroup.get_command = lambda self, ctx, name: fail
sys.argv = ["videorep", "fail"]
program.main()
"""


def command_of(body):
    """Words that run the program with a command of this one line."""
    return [sys.executable, "-c", PROGRAM.format(body=body)]
