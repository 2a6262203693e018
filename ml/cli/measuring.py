"""The commands that measure bundles on labelled images: `evaluate` and `compare`."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ml.bundle import Bundle, load
from ml.cli import options as shared
from ml.cli.options import Commands, chosen, command
from ml.metrics.measured import label, unmeasured
from ml.model_card import untold_lesions
from ml.progress import bar

if TYPE_CHECKING:
    from ml.data.examples import Examples
    from ml.data.table import Dataset
    from ml.evaluate import Evaluation
    from ml.imaging.preprocess import Size

DATA: Final = "folder with labelled images, published as HAM10000, ISIC 2018, 2019 or 2024, or a folder for each class"

EVALUATE: Final = """
Measures on the test split, which shares no lesion with the training and validation splits, and leaves out every image
that the bundle has seen; how many is told. Each metric is a share between 0 and 1 and stands with its 95 % interval
by a bootstrap over lesions. Sensitivity and specificity are those of the threshold for referral that the bundle
carries, which was set on other images. --split all measures on every image, for a data set that the bundle knows
nothing of. --report takes longer and writes the whole assessment, with plots: subgroups, conformal sets, poor photos,
artefacts, pictures that are no lesion and, with --masks, how much of the heat lies inside the lesion.

Examples:
  python -m ml evaluate --data HAM10000 --json metrics.json
  python -m ml evaluate --data HAM10000 --report assessment --masks HAM10000/masks.zip
  python -m ml evaluate --data ISIC2018_Test --split all
"""

COMPARE: Final = """
Both bundles answer the same images of the test split; an image that either has seen is left out, and how many is told.
The difference is second minus first, with its 95 % interval: each bootstrap draw takes the same lesions for both, so
what is compared is the same patients. An interval without 0 is a difference that the images show. The last line says
what the gate of a promotion would say of the second, by its default margin and number of lesions.

Example:
  python -m ml compare ml/bundles/20261122-release-2 candidate/bundle --data HAM10000
"""


def add_commands(commands: "Commands[Any]") -> None:
    """Adds the commands of this file."""
    evaluate = command(commands, "evaluate", _evaluate, "Measure a bundle on images that it has never seen.", EVALUATE)
    shared.bundle(evaluate)
    shared.path(evaluate, "--data", DATA)
    evaluate.add_argument("--split", choices=("test", "all"), default="test", help="what to measure on (default test)")
    evaluate.add_argument("--report", type=Path, help="folder for the whole assessment")
    evaluate.add_argument("--masks", type=Path, help="folder or ZIP file with <image_id>_segmentation.png")
    shared.json_file(evaluate)
    shared.cache(evaluate)

    compare = command(commands, "compare", _compare, "Measure how much two bundles differ, lesion by lesion.", COMPARE)
    compare.add_argument("first", type=Path, help="bundle folder")
    compare.add_argument("second", type=Path, help="bundle folder")
    shared.path(compare, "--data", DATA)
    shared.json_file(compare)
    shared.cache(compare)


def _evaluate(options: argparse.Namespace) -> None:
    from ml.data.errors import DataError
    from ml.evaluate import evaluate

    if options.masks and not options.report:
        raise shared.UsageError("--masks is for the whole assessment: say with --report where to write it.")
    bundle = load(chosen(options))
    if options.report:  # before the work whose end it is
        options.report.mkdir(parents=True, exist_ok=True)
    shared.require_writable(options.json)  # in the folder of the report, too
    dataset = _read(options.data, bundle, whole=options.split == "all")
    if options.split == "test" and dataset.split("test").empty:
        wrong = f"{options.data} holds too few lesions to have a test split"
        raise DataError("no_test_images", f"{wrong}: measure on every image with --split all.")
    test = _examples(dataset, bundle.frame)
    evaluation = _assess(bundle, test, dataset, options) if options.report else evaluate(bundle, test, options.cache)
    told = {**_left_out(dataset), "refused": test.refused, **evaluation.as_dict()}
    _show(
        f"{bundle.name}: {_counted(told, 'it')}",
        ("metric", "value", "95 % interval"),
        ((label(name), _number(each["value"]), _between(each)) for name, each in told["metrics"].items()),
        unmeasured(told["images_of_class"]),
    )
    _write(options.json, {"release": bundle.name, "bundle": bundle.hash, **told})


def _assess(bundle: Bundle, test: "Examples", dataset: "Dataset", options: argparse.Namespace) -> "Evaluation":
    """Writes the whole assessment, and gives what it says in short."""
    from ml.assess import report, run
    from ml.data.images import ImageStore
    from ml.evaluate import measurable, summarise

    console = Console(stderr=True)
    masks = ImageStore(options.masks) if options.masks else None
    kept, dropped = measurable(test, bundle.seen)
    with console.status("assessing") as status:

        def stage(name: str) -> None:
            status.update(name)
            if not console.is_terminal:  # which alone shows a status
                console.print(f"assessing: {name}", highlight=False, markup=False)

        assessment, scored = run.assess(
            bundle, kept, dataset.images, options.cache, stage, outlines=masks, details=dataset.details
        )
    report.write(assessment, scored, options.report)
    console.print(f"The whole assessment: {options.report / 'assessment.md'}", highlight=False, markup=False)
    return summarise(scored, dropped)


def _compare(options: argparse.Namespace) -> None:
    from ml.compare import compare

    shared.require_writable(options.json)
    first, second = load(options.first), load(options.second)
    dataset = _read(options.data, first)
    told = compare(first, second, lambda frame: _examples(dataset, frame), options.cache)
    _show(
        f"{first.name} and {second.name}: {_counted(told, 'either')}",
        ("metric", "first", "second", "difference", "95 % interval"),
        (
            (label(row["metric"]), *map(_number, (row["active"], row["candidate"])), _signed(row), _between(row))
            for row in told["rows"]
        ),
        f"The gate: {told['verdict']}. {told['reason']}",
    )
    _write(options.json, {**_left_out(dataset), **told})


def _read(folder: Path, bundle: Bundle, whole: bool = False) -> "Dataset":
    """The labelled images of a folder, divided, or the `whole` of them as test split. Raises DataError where their
    classes are not those of the bundle.
    """
    from ml import data
    from ml.data import left_out, splits
    from ml.data.errors import DataError

    dataset = data.read(folder)
    if dataset.taxonomy != bundle.taxonomy:
        told = [", ".join(taxonomy.codes) for taxonomy in (dataset.taxonomy, bundle.taxonomy)]
        raise DataError(
            "other_classes",
            f"{folder} is labelled {told[0]}, and {bundle.name} answers {told[1]}. "
            "Name data with the bundle's classes: a folder for each, named as they are, will do.",
        )
    if dataset.problems:
        sys.stderr.write(f"{folder}: {left_out.counts(dataset.problems)}\n")
    if misnamed := left_out.misnamed(dataset):
        sys.stderr.write(f"Warning: {misnamed}\n")
    if alone := dataset.problems.get("image_as_lesion", 0):
        one_side = whole or bool((dataset.table["patient_id"] != "").all())
        sys.stderr.write(f"Warning: {' '.join(untold_lesions(alone, one_side))}\n")
    return replace(dataset, table=dataset.table.assign(split="test") if whole else splits.assign(dataset.table))


def _left_out(dataset: "Dataset") -> dict[str, Any]:
    """For the JSON files: what is wrong with rows of the whole data set, and the labels that are no class."""
    return {"problems": dataset.problems, "unknown_classes": dataset.unknown}


def _examples(dataset: "Dataset", frame: "Size") -> "Examples":
    """The test split, read; images that cannot be are named on standard error."""
    from ml.data import examples, left_out

    test = dataset.split("test")
    with bar("reading", len(test)) as advance:
        read = examples.load(test, dataset.images, frame, advance, taxonomy=dataset.taxonomy)
    if unreadable := left_out.unreadable(read.refused):
        sys.stderr.write(f"{unreadable}\n")
    return read


def _counted(told: Mapping[str, Any], who: str) -> str:
    seen = f"{told['dropped_seen']} images left out that {who} has seen"
    return f"{told['images']} images of {told['lesions']} lesions, {told['malignant_lesions']} malignant; {seen}"


def _show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> None:
    table = Table(title=escape(title), caption=caption, title_justify="left", caption_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _signed(row: Mapping[str, float | None]) -> str:
    return "–" if row["difference"] is None else f"{row['difference']:+.3f}"


def _between(row: Mapping[str, float | None]) -> str:
    return "–" if row["low"] is None else f"{_number(row['low'])} to {_number(row['high'])}"


def _write(target: Path | None, told: Mapping[str, Any]) -> None:
    if target:
        target.write_text(json.dumps(told, indent=1) + "\n")
