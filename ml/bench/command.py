"""The command `python -m ml bench`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ml.bench import BATCH, COUNT, Images, Report, Row, bench, drawn, encoded, of_data
from ml.bench.ways import LOGITS, WHOLE
from ml.bundle import load
from ml.cli import options as shared
from ml.cli.options import Commands, chosen, command
from ml.progress import bar

BENCH: Final = """
Every row is the whole ensemble with all its views on the same images, in a process of its own, one after the other;
give it an idle machine. Rows:
  keras             Keras predict, which the others are compared with
  tensorflow        all members in one compiled TensorFlow function
  onnx              ONNX Runtime; needs tf2onnx and onnxruntime
  openvino-f32      OpenVINO as it serves, in float32
  openvino-bf16     the same in bfloat16
  openvino-int8     the same in eight bits; needs nncf, and --data for train images to take its ranges from
  runtime           what serves, with heatmaps and advice, from prepared pixels
  runtime-decoding  the same from encoded images, decoded while the model works
MB is the resident memory of the row's process at its peak. Logits are compared with those of Keras, and so are the
calibrated probabilities that the bundle makes of them, and the advice that follows. With --data another table says what
a row costs in accuracy on the validation split, with a paired 95 % interval by lesion; the stack and the thresholds
were fitted on that split, so only differences mean anything there.

Example:
  python -m ml bench
  python -m ml bench --data HAM10000 --json bench.json
"""


def add_commands(commands: "Commands[Any]") -> None:
    """Adds the command."""
    parser = command(commands, "bench", _bench, "Measure how fast a bundle answers, and what speed costs.", BENCH)
    shared.bundle(parser)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--images", type=Path, help="folder or ZIP file (default: synthetic lesions)")
    source.add_argument("--data", type=Path, help="folder with labelled images; their validation split is answered")
    parser.add_argument(
        "--count", type=shared.one_or_more, default=COUNT, help=f"images, other than of --data (default {COUNT})"
    )
    parser.add_argument("--batch", type=shared.one_or_more, default=BATCH, help=f"images at once (default {BATCH})")
    ways = (*LOGITS, *WHOLE)
    parser.add_argument("--rows", nargs="+", choices=ways, default=ways, metavar="ROW", help="default: all rows")
    shared.json_file(parser)
    shared.cache(parser)


def _bench(options: argparse.Namespace) -> None:
    from ml.data.images import ImageStore

    shared.require_writable(options.json)
    bundle, truth = load(chosen(options)), None
    train: Images = ()
    if options.data:
        images, truth, train = of_data(options.data, bundle)
    elif options.images:
        images = encoded(ImageStore(options.images), options.count)
    else:
        images = drawn(options.count)
    with bar("measuring", len(options.rows)) as advance:
        report = bench(
            bundle,
            images,
            options.cache,
            batch=options.batch,
            truth=truth,
            train=train,
            ways=options.rows,
            advance=advance,
        )
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report.as_dict(), indent=1) + "\n")


def show(report: Report) -> None:
    """Prints the report as a table."""
    title = f"{report.bundle}, {report.images} images, batches of {report.batch}"
    place = f"{report.machine}, {report.cores} cores, {report.date}"
    table = Table(title=escape(f"{title}\n{place}"), title_justify="left")
    for column in ("row", "images/s", "× keras", "MB", "largest", "median"):
        table.add_column(column, justify="left" if column == "row" else "right")
    for row in report.rows:
        table.add_row(row.way, *(_number(value, form) for value, form in _shown(row)))
    console = Console()
    console.print(table)
    if compared := [row for row in report.rows if row.probabilities]:
        console.print(_probabilities(compared))
    if labelled := [row for row in report.rows if row.costs]:
        console.print(_costs(labelled))
    for row in report.rows:
        if row.note:
            console.print(f"{row.way}: {row.note}", highlight=False, markup=False)
    if report.overlap is not None:
        sys.stdout.write(f"From encoded images at {report.overlap:.0%} of the rate from prepared pixels.\n")


def _shown(row: Row) -> list[tuple[float | None, str]]:
    return [(row.rate, ".1f"), (row.ratio, ".2f"), (row.memory, ".0f"), (row.largest, ".2g"), (row.median, ".2g")]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _probabilities(rows: list[Row]) -> Table:
    columns = ("P(malignant), median", "largest", "any class, largest", "another advice")
    table = Table("row", *columns, title="Distance of probabilities from keras", title_justify="left")
    for row in rows:
        *distances, advice = (row.probabilities or {}).values()
        table.add_row(row.way, *(_number(distance, ".2g") for distance in distances), f"{advice:.1%}")
    return table


def _costs(rows: list[Row]) -> Table:
    table = Table(
        "row", *(rows[0].costs or {}), title="Difference from keras, with its 95 % interval", title_justify="left"
    )
    for row in rows:
        table.add_row(row.way, *(_cost(interval) for interval in (row.costs or {}).values()))
    return table


def _cost(interval: tuple[float | None, ...]) -> str:
    difference, low, high = (_number(value, "+.4f") for value in interval)
    return f"{difference} ({low} to {high})"
