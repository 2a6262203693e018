"""The commands that measure bundles on labelled images: `evaluate` and `compare`."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from ml.bundle import Bundle, load
from ml.cli import labelled
from ml.cli import options as shared
from ml.cli.options import Commands, chosen, command
from ml.metrics.measured import label, unmeasured

if TYPE_CHECKING:
    from ml.data.examples import Examples
    from ml.data.table import Dataset
    from ml.evaluate import Evaluation

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
what the gate of a promotion would say of the second, by its default margin and number of lesions. --split all takes
every image, of a data set that neither bundle knows.

Example:
  python -m ml compare ml/bundles/20261122-release-2 candidate/bundle --data HAM10000
"""


def add_commands(commands: "Commands[Any]") -> None:
    """Adds the commands of this file."""
    evaluate = command(commands, "evaluate", _evaluate, "Measure a bundle on images that it has never seen.", EVALUATE)
    shared.bundle(evaluate)
    labelled.add_options(evaluate)
    evaluate.add_argument("--report", type=Path, help="folder for the whole assessment")
    evaluate.add_argument("--masks", type=Path, help="folder or ZIP file with <image_id>_segmentation.png")
    shared.json_file(evaluate)
    shared.cache(evaluate)

    compare = command(commands, "compare", _compare, "Measure how much two bundles differ, lesion by lesion.", COMPARE)
    compare.add_argument("first", type=Path, help="bundle folder")
    compare.add_argument("second", type=Path, help="bundle folder")
    labelled.add_options(compare)
    shared.json_file(compare)
    shared.cache(compare)


def _evaluate(options: argparse.Namespace) -> None:
    from ml.evaluate import evaluate

    if options.masks and not options.report:
        raise shared.UsageError("--masks is for the whole assessment: say with --report where to write it.")
    bundle = load(chosen(options))
    if options.report:  # before the work whose end it is
        options.report.mkdir(parents=True, exist_ok=True)
    shared.require_writable(options.json)  # in the folder of the report, too
    dataset = labelled.read(options, bundle)
    test = labelled.examples(dataset, bundle.frame)
    evaluation = _assess(bundle, test, dataset, options) if options.report else evaluate(bundle, test, options.cache)
    told = {**labelled.wrong_rows(dataset), "refused": test.refused, **evaluation.as_dict()}
    labelled.show(
        f"{bundle.name}: {labelled.counted(told, 'it')}",
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
            bundle,
            kept,
            dataset.images,
            options.cache,
            stage,
            outlines=masks,
            details=dataset.details,
            caveats=labelled.caveats(options, dataset),
        )
    report.write(assessment, scored, options.report)
    console.print(f"The whole assessment: {options.report / 'assessment.md'}", highlight=False, markup=False)
    return summarise(scored, dropped)


def _compare(options: argparse.Namespace) -> None:
    from ml.compare import compare

    shared.require_writable(options.json)
    first, second = load(options.first), load(options.second)
    dataset = labelled.read(options, first)
    told = compare(first, second, lambda frame: labelled.examples(dataset, frame), options.cache)
    labelled.show(
        f"{first.name} and {second.name}: {labelled.counted(told, 'either')}",
        ("metric", "first", "second", "difference", "95 % interval"),
        (
            (label(row["metric"]), *map(_number, (row["active"], row["candidate"])), _signed(row), _between(row))
            for row in told["rows"]
        ),
        f"The gate: {told['verdict']}. {told['reason']}",
    )
    _write(options.json, {**labelled.wrong_rows(dataset), **told})


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _signed(row: Mapping[str, float | None]) -> str:
    return "–" if row["difference"] is None else f"{row['difference']:+.3f}"


def _between(row: Mapping[str, float | None]) -> str:
    return "–" if row["low"] is None else f"{_number(row['low'])} to {_number(row['high'])}"


def _write(target: Path | None, told: Mapping[str, Any]) -> None:
    if target:
        target.write_text(json.dumps(told, indent=1) + "\n")
