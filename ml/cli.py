"""The arguments of `python -m ml` and what each command calls."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives the exit code."""
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml", description="Train, evaluate and run the models of LesionLens.")
    commands = parser.add_subparsers(required=True, metavar="command")

    warm = commands.add_parser("warm", help="convert a bundle's networks for fast loading")
    warm.add_argument("--bundle", type=Path, required=True, help="bundle directory")
    warm.add_argument("--cache", type=Path, required=True, help="directory that keeps converted networks")
    warm.set_defaults(run=_warm)
    return parser


def _warm(options: argparse.Namespace) -> int:
    from ml import bundle, convert

    converted = convert.warm(bundle.load(options.bundle), options.cache)
    sys.stderr.write(f"Converted: {', '.join(converted) or 'nothing, the cache was warm'}.\n")
    return 0
