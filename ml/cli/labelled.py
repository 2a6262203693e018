"""Labelled images for the commands that measure on them, and how these show what they measured."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ml.bundle import Bundle
from ml.model_card import untold, untold_lesions
from ml.progress import bar

if TYPE_CHECKING:
    from ml.data.examples import Examples
    from ml.data.table import Dataset
    from ml.imaging.preprocess import Size

DATA: Final = "folder with labelled images, published as HAM10000, ISIC 2018, 2019 or 2024, or a folder for each class"


def add_options(parser: argparse.ArgumentParser, *, required: bool = True, data: str = DATA) -> None:
    """`--data` and `--split`; see `read`."""
    parser.add_argument("--data", type=Path, required=required, help=data)
    parser.add_argument("--split", choices=("test", "all"), default="test", help="what to measure on (default test)")


def read(options: argparse.Namespace, bundle: Bundle) -> "Dataset":
    """The labelled images of `--data`, divided, or with `--split all` the whole of them as test split. Raises DataError
    where their classes are not those of the bundle, and `no_test_images` where they are too few to be divided.
    """
    from ml import data
    from ml.data import left_out, splits
    from ml.data.errors import DataError
    from ml.evaluate import require_classes

    folder, whole = options.data, options.split == "all"
    dataset = data.read(folder)
    require_classes(folder, dataset.taxonomy, bundle)
    if dataset.problems:
        sys.stderr.write(f"{folder}: {left_out.counts(dataset.problems)}\n")
    if misnamed := left_out.misnamed(dataset):
        sys.stderr.write(f"Warning: {misnamed}\n")
    alone = left_out.lone(dataset)
    if told := untold_lesions(len(alone), whole or _named(alone)):
        sys.stderr.write(f"Warning: {' '.join(told)}\n")
    divided = replace(dataset, table=dataset.table.assign(split="test") if whole else splits.assign(dataset.table))
    if divided.split("test").empty:
        wrong = f"{folder} holds too few lesions to have a test split"
        raise DataError("no_test_images", f"{wrong}: measure on every image with --split all.")
    return divided


def caveats(options: argparse.Namespace, dataset: "Dataset") -> list[str]:
    """What the data leave untold, for an assessment."""
    from ml.data import left_out

    alone, unnamed = left_out.lone(dataset), int((dataset.table["patient_id"] == "").sum())
    return untold(len(alone), _named(alone), unnamed, divided=options.split != "all")


def examples(dataset: "Dataset", frame: "Size") -> "Examples":
    """The test split, read; images that cannot be are named on standard error."""
    from ml.data import examples, left_out

    test = dataset.split("test")
    with bar("reading", len(test)) as advance:
        found = examples.load(test, dataset.images, frame, advance, taxonomy=dataset.taxonomy)
    if unreadable := left_out.unreadable(found.refused):
        sys.stderr.write(f"{unreadable}\n")
    return found


def wrong_rows(dataset: "Dataset") -> dict[str, Any]:
    """For the JSON files: what is wrong with rows of the whole data set, and the labels that are no class."""
    return {"problems": dataset.problems, "unknown_classes": dataset.unknown}


def counted(told: Mapping[str, Any], who: str) -> str:
    """On how many images a measurement is."""
    seen = f"{told['dropped_seen']} images left out that {who} has seen"
    return f"{told['images']} images of {told['lesions']} lesions, {told['malignant_lesions']} malignant; {seen}"


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> None:
    """Prints a table."""
    table = Table(title=escape(title), caption=caption, title_justify="left", caption_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _named(rows: Any) -> bool:
    """Whether all of these rows say whose they are."""
    return bool((rows["patient_id"] != "").all())
