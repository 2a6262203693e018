"""One door to labelled images: it tells by a folder's tables how they were published."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ml.data import challenges, class_folders, ham10000, isic2024
from ml.data.errors import DataError
from ml.data.table import Dataset, how_to_save, lacking, tables_in


@dataclass(frozen=True)
class Layout:
    """A way in which data are published: a table whose name fits `table`, with `columns`."""

    name: str
    table: str
    columns: tuple[str, ...]
    read: Callable[[Path], Dataset]

    def missing(self, folder: Path) -> str:
        """What the folder lacks to be read so; empty where nothing is missing."""
        tables = tables_in(folder, self.table)
        if not tables:
            return f"no {self.table}"
        absent = [lacking(path, self.columns) for path in tables]
        return f"{tables[0].name} lacks {', '.join(absent[0])}{how_to_save(tables[0])}" if all(absent) else ""


LAYOUTS: Final = (
    Layout("HAM10000", ham10000.TABLE, ham10000.COLUMNS, ham10000.read),
    Layout("ISIC 2018 task 3", challenges.TRUTH_2018, ("image", *challenges.CLASSES_2018), challenges.read_2018),
    Layout("ISIC 2019", challenges.TRUTH_2019, ("image", *challenges.CLASSES_2019), challenges.read_2019),
    Layout("ISIC 2024", isic2024.TABLE, isic2024.COLUMNS, isic2024.read),
)
"""In the order in which they are tried: HAM10000 is published together with the test table of ISIC 2018."""


def read(folder: Path) -> Dataset:
    """The labelled images of a folder in one of LAYOUTS, or with a folder for each class.

    Raises DataError: `unknown_layout` where none fits, saying what each would need; else what the layout's own reader
    raises.
    """
    if not folder.is_dir():
        raise DataError("unknown_layout", f"{folder} is not a folder.")
    missing = {}
    for layout in LAYOUTS:
        missing[layout.name] = layout.missing(folder)
        if not missing[layout.name]:
            return layout.read(folder)
    if class_folders.class_folders(folder):
        return class_folders.read(folder)
    missing["a folder for each class"] = f"none is named {', '.join(sorted(class_folders.KNOWN))}"
    told = "; ".join(f"{name} ({what})" for name, what in missing.items())
    raise DataError("unknown_layout", f"{folder} has none of the layouts that can be read: {told}.")
