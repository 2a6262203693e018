"""Predictions for a folder or ZIP of images, as a file."""

import os
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from ml.classes import CLASSES
from ml.data.images import SUFFIXES, ImageStore
from ml.imaging.refusal import ImageRefused
from ml.predict import formats, sheet
from ml.runtime import Prediction, Runtime
from ml.stream import stream

FORMATS: Final[dict[str, formats.Write]] = {
    "csv": formats.write_csv,
    "isic2018": formats.write_isic2018,
    "json": formats.write_json,
}

PICTURED: Final = 60
"""Images on a picture of answers."""

PICTURES: Final = (".png", ".jpg", ".jpeg")


class PredictError(Exception):
    """Predictions that cannot be written; the message says why."""


def image_ids(images: ImageStore) -> list[str]:
    """The ids to answer, sorted: hidden files, such as the `._` twins that macOS puts into ZIP files, are no images."""
    return [image_id for image_id in images.ids() if not image_id.startswith(".")]


def repeated(source: Path) -> dict[str, list[str]]:
    """Each id that several images of a folder or ZIP file share, with their paths in it; the first is the one that
    is answered.
    """
    if source.is_dir():
        names = [path.relative_to(source).as_posix() for path in sorted(source.rglob("*"))]
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            names = sorted(archive.namelist())
    else:
        return {}
    by_id = defaultdict(list)
    for path in map(PurePosixPath, names):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            by_id[path.stem].append(str(path))
    return {image_id: paths for image_id, paths in by_id.items() if len(paths) > 1}


def predict(
    runtime: Runtime,
    images: ImageStore,
    output: Path,
    kind: str = "csv",
    advance: Callable[[], object] = lambda: None,
    *,
    picture: Path | None = None,
) -> dict[str, ImageRefused]:
    """Answers every image, in the order of ids, in a file of one of FORMATS, and gives the images that were refused.

    A broken file is a row with an error and never an end; see `ml.predict.formats` for how each format says so. Images
    are read and decoded while the model answers earlier ones, and no more than a few batches are held at once.
    `advance` is called once for each image. The file appears whole or not at all. `picture` is a PNG or JPEG to draw
    with the first PICTURED images and their answers. Raises PredictError for an output that is no file in a folder
    that exists, for another kind of picture, and for a bundle that does not answer in the classes of the format.
    """
    if output.is_dir() or not output.parent.is_dir():
        raise PredictError(f"{output} cannot be written: name a file in a folder that exists.")
    if picture and picture.suffix.lower() not in PICTURES:
        raise PredictError(f"{picture} cannot be drawn: give it one of the endings {', '.join(PICTURES)}.")
    if kind == "isic2018" and runtime.bundle.taxonomy.codes != CLASSES:
        raise PredictError(
            f"{runtime.name} answers in {', '.join(runtime.bundle.taxonomy.codes)}, and the format isic2018 is for "
            f"{', '.join(CLASSES)}: choose csv or json, or another bundle."
        )
    refused: dict[str, ImageRefused] = {}
    shown: list[tuple[str, Prediction | ImageRefused]] = []

    def answers() -> formats.Answers:
        for image_id, answer in stream(runtime, image_ids(images), lambda image_id: _read(images, image_id)):
            if isinstance(answer, ImageRefused):
                refused[image_id] = answer
            if len(shown) < PICTURED:
                shown.append((image_id, answer))
            advance()
            yield image_id, answer

    arriving = output.with_name(f".{output.name}.part")
    try:
        with arriving.open("w", newline="", encoding="utf-8") as file:
            FORMATS[kind](file, runtime, answers())
        os.replace(arriving, output)
    finally:
        arriving.unlink(missing_ok=True)
    if picture:
        sheet.of_answers(runtime, images, shown).save(picture)
    return refused


def _read(images: ImageStore, image_id: str) -> bytes:
    try:
        return images.read(image_id)
    except NotImplementedError as error:  # a way of packing that Python does not have
        raise ImageRefused("unsupported_compression", str(error)) from error
    except RuntimeError as error:  # what Python's ZIP files raise for want of a password
        raise ImageRefused("encrypted", str(error)) from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ImageRefused("corrupt", str(error)) from error
