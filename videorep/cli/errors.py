"""The sentences that the command line says where something outside videorep went wrong."""

import errno
import sys

import click

RESUMABLE = "videorep.resumable"
DRY_RUN = "videorep.dry_run"
OUTPUT = "videorep.output"

REMEDIES = {
    errno.ENOSPC: "free some space there, then go on with --resume where the command has it",
    errno.EDQUOT: "free some of your quota, then go on with --resume where the command has it",
    errno.EACCES: "change its permissions or choose another place",
    errno.EPERM: "change its permissions or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "choose a path whose parents are all folders",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def is_resumable(ctx):
    """Whether the command that runs has `--resume` and has something to go on with: a dry run begins nothing."""
    return RESUMABLE in ctx.meta and not ctx.meta.get(DRY_RUN)


def explain_operating_system_error(error, ctx):
    """One sentence for an OSError that no worker turned into a VideorepError, with the path that it is about."""
    path = error.filename or ctx.meta.get(OUTPUT)
    place = f" at {path}" if path else ""
    remedy = REMEDIES.get(error.errno, "check the disk and the path, then give the same command again")
    return f"expected to read and write files{place}, received: {error.strerror or error}; {remedy}"


def explain_unexpected_error(kind, error, traceback):
    """`sys.excepthook` of the program: says that this is our defect, and how to see where it is."""
    first_line = (str(error).strip().splitlines() or ["no message"])[0]
    click.echo(
        f"Error: unexpected {kind.__name__}: {first_line}; this looks like a defect of videorep: "
        "give the same command with VIDEOREP_TRACEBACK=1 set to see where, and report it",
        err=True,
    )
    sys.stdout.flush()
