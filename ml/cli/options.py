"""The options that commands of `python -m ml` share."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ml.bundle import shipped

DEFAULT_CACHE: Final = Path(os.environ.get("RUNTIME_CACHE") or Path.home() / ".cache" / "lesionlens")

LARGEST_SEED: Final = 2**31 - 1
"""That NumPy and Keras take."""

Commands = argparse._SubParsersAction  # argparse has no public name for what `add_subparsers` gives


class UsageError(Exception):
    """Options that do not go together; the message says which."""

    exit_status = 2


def command(
    commands: "Commands[Any]", name: str, run: Callable[[argparse.Namespace], None], text: str, more: str
) -> argparse.ArgumentParser:
    """Adds a command: `text` in one line for the list of commands, `more` with an example for its own help."""
    added: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text}\n\n{more.strip()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(run=run)
    return added


def path(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    """A path that must be given."""
    parser.add_argument(name, type=Path, required=True, help=text)


def bundle(parser: argparse.ArgumentParser) -> None:
    """`--bundle`; `chosen` gives what it names."""
    parser.add_argument("--bundle", type=Path, help="bundle folder (default: the shipped one)")


def chosen(options: argparse.Namespace) -> Path:
    """The bundle of `--bundle`, or the shipped one. Raises BundleError when none ships."""
    return options.bundle or shipped()


def cache(parser: argparse.ArgumentParser) -> None:
    """`--cache`."""
    text = "folder for converted networks (default RUNTIME_CACHE, else ~/.cache/lesionlens)"
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help=text)


def progress(parser: argparse.ArgumentParser) -> None:
    """`--progress`; see `ml.progress.progress_for`."""
    parser.add_argument("--progress", choices=("text", "json"), default="text", help="json: one object a line")


def json_file(parser: argparse.ArgumentParser) -> None:
    """`--json`; see `require_writable`."""
    text = "write the same numbers, and more digits, to this JSON file"
    parser.add_argument("--json", type=Path, help=text)


def require_writable(file: Path | None) -> None:
    """Raises UsageError for a file that cannot be written, before the work of hours whose end it is."""
    if not file:
        return
    if str(file) == "-":
        raise UsageError("- cannot be written: name a file, or /dev/stdout.")
    if file.is_dir() or not file.parent.is_dir():
        raise UsageError(f"{file} cannot be written: name a file in a folder that exists.")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UsageError(f"{file} cannot be written: name a file where you may write.")


def seed(parser: argparse.ArgumentParser, text: str = "default 0") -> None:
    """`--seed`."""
    parser.add_argument("--seed", type=_seed, default=0, help=text)


def one_or_more(text: str) -> int:
    """The `type` of an option that counts something. Raises ArgumentTypeError for what is no number of 1 or more."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= LARGEST_SEED):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {LARGEST_SEED}")
    return int(text)
