"""One bench, in this process: `python -m tests.bench.one <module> <scale> <file for its figures>`."""

import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path


def main(module: str, scale: str, out: str) -> None:
    """Measure, and leave the figures in `out` as JSON. A bench that fails leaves nothing and a traceback."""
    figures = import_module(module).measure(float(scale))
    Path(out).write_text(json.dumps([asdict(figure) for figure in figures]))


if __name__ == "__main__":
    main(*sys.argv[1:])
