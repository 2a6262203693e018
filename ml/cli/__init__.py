"""The command line of `python -m ml`: one file for each family of commands."""

import argparse
import errno
import re
import sys
from collections.abc import Sequence

from ml.bench import command as bench
from ml.cli import learning, measuring, serving
from ml.progress import progress_for
from ml.segmentation import commands as segmentation


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives the exit code: 0, 1 where it failed and said why (or the error's own `exit_status`),
    130 where it was interrupted.

    Exceptions of this package and of the file system are worded for people. Any other is a defect and keeps its
    traceback, except in commands with `--progress`, whose reader needs an event.
    """
    options = _parser().parse_args(arguments)
    goes_on = " The same command goes on from where it was." if hasattr(options, "work") else ""
    try:
        options.run(options)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nStopped.{goes_on}\n")
        return 130
    except Exception as error:
        if not (hasattr(options, "progress") or isinstance(error, OSError) or type(error).__module__.startswith("ml.")):
            raise
        code = getattr(error, "code", None) or _code(type(error).__name__)
        progress_for(getattr(options, "progress", "text")).error(str(code), _worded(error, goes_on))
        return int(getattr(error, "exit_status", 1))
    return 0


def _worded(error: Exception, goes_on: str) -> str:
    """Its message, without the system's number where it is the system's own; of a full disk also how it goes on, where
    the command does.
    """
    if not (isinstance(error, OSError) and error.strerror):
        return str(error)
    if error.filename and isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename}: a file stands where a folder is wanted. Name another."
    told = f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    room = "Make room there." if error.filename else "Make room."
    return f"{told} {room}{goes_on}" if full and goes_on else told


def _code(name: str) -> str:
    """`BundleError` as `bundle_error`, and `OSError` as `os_error`: a stable code for one that has none of its own."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ml", description="Train, evaluate and run the models of LesionLens."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    learning.add_commands(commands)
    measuring.add_commands(commands)
    serving.add_commands(commands)
    bench.add_commands(commands)
    segmentation.add_commands(commands)
    return parser
