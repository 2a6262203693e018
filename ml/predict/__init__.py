"""Predictions for a folder or ZIP of images, as a file."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from ml.classes import CLASSES
from ml.data.images import ImageStore
from ml.files import named
from ml.imaging.refusal import ImageRefused
from ml.predict import formats, sheet
from ml.predict.judged import Judged, Judging
from ml.predict.sources import image_ids
from ml.runtime import Runtime
from ml.runtime.stream import stream

FORMATS: Final[dict[str, formats.Write]] = {
    "csv": formats.write_csv,
    "isic2018": formats.write_isic2018,
    "json": formats.write_json,
}

PICTURED: Final = 60
"""Images on a picture of answers."""


class PredictError(Exception):
    """Predictions that cannot be written; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """The images that were refused, with why, and the ids of those that the quality check has a code for."""

    refused: dict[str, ImageRefused] = field(default_factory=dict)
    poor: list[str] = field(default_factory=list)


def predict(
    runtime: Runtime,
    images: ImageStore,
    output: Path,
    kind: str = "csv",
    advance: Callable[[], object] = lambda: None,
    *,
    picture: Path | None = None,
) -> Outcome:
    """Answers every image, in the order of ids, in a file of one of FORMATS.

    A broken file is a row with an error and never an end; see `ml.predict.formats` for how each format says so. Images
    are read and decoded while the model answers earlier ones, and no more than a few batches are held at once.
    `advance` is called once for each image. The file appears whole or not at all; an `output` that is no
    regular file, such as a pipe, is written into. `picture` is a PNG or JPEG to draw with the first PICTURED images and
    their answers. Raises PredictError for a bundle that does not answer in the classes of the format; NoImagesError
    where there is no image.
    """
    bundle = runtime.bundle
    if kind == "isic2018" and bundle.taxonomy.codes != CLASSES:
        raise PredictError(
            f"{bundle.name} answers in {', '.join(bundle.taxonomy.codes)}, and the format isic2018 is for "
            f"{', '.join(CLASSES)}: choose csv or json, or another bundle."
        )
    ids, outcome = image_ids(images), Outcome()
    shown: list[tuple[str, Judged | ImageRefused]] = []

    def answers() -> formats.Answers:
        for image_id, answer in stream(Judging(runtime), ids, images.read):
            if isinstance(answer, ImageRefused):
                outcome.refused[image_id] = answer
            elif answer.quality:
                outcome.poor.append(image_id)
            if len(shown) < PICTURED:
                shown.append((image_id, answer))
            advance()
            yield image_id, answer

    with _written(output) as file:
        FORMATS[kind](file, runtime, answers())
    if picture:
        drawn = sheet.of_answers(runtime, images, shown)
        with named(picture):
            drawn.save(picture)
    return outcome


@contextmanager
def _written(output: Path) -> Iterator[TextIO]:
    """A file to write that becomes `output`, or what it links to, at the end; `output` itself where it is a device or a
    pipe, which another file must not replace. Bytes of a file's name that are no UTF-8 are written as \\udcXX.
    """
    replaceable = output.is_file() or not output.exists()
    target = output.resolve() if replaceable else output
    arriving = target.with_name(f".{target.name}.part") if replaceable else output
    try:
        with named(output), arriving.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            yield file
        if replaceable:
            os.replace(arriving, target)
    finally:
        if replaceable:
            arriving.unlink(missing_ok=True)
