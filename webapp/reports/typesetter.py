"""One document, typeset in a process of its own: what was laid out stays in memory, and is given back with the process.

Takes the layout's name as its argument and the data as JSON from standard input, and writes PDF to standard output.
"""

import sys
from pathlib import Path
from typing import Any

import typst

HERE = Path(__file__).parent


def main() -> None:
    """Typeset what comes in."""
    files: Any = {  # its types forget that it takes several files by name
        "main.typ": (HERE / "layout" / f"{sys.argv[1]}.typ").read_bytes(),
        "common.typ": (HERE / "layout" / "common.typ").read_bytes(),
        "data.json": sys.stdin.buffer.read(),
    }
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[HERE / "fonts"])
    try:
        pdf = typst.compile(files, font_paths=fonts, pdf_standards="ua-1")
    except typst.TypstError:  # a character that no font has breaks the promise of PDF/UA, and not the report
        pdf = typst.compile(files, font_paths=fonts)
    sys.stdout.buffer.write(pdf)


if __name__ == "__main__":
    main()
