"""Several images with what a model says about each, as one picture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ml.advice import Advice
from ml.data.images import ImageStore
from ml.imaging.decode import decode
from ml.imaging.preprocess import scaled
from ml.imaging.refusal import ImageRefused
from ml.predict.judged import Judged
from ml.runtime import Runtime

COLUMNS: Final = 4
TILE: Final = (256, 192)
TEXT: Final = 46
GAP: Final = 8
INK: Final = (34, 34, 34)
ALARM: Final = (176, 58, 0)
MISSING: Final = 200
FONT: Final = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")  # Pillow's own lacks accents


@dataclass(frozen=True)
class Tile:
    """One image, uint8 RGB (rows, columns, 3), the two lines under it, and whether they are an alarm."""

    pixels: np.ndarray
    title: str
    text: str
    alarm: bool


def draw(tiles: Sequence[Tile]) -> Image.Image:
    """A white sheet with four tiles in a row, each image whole within 256 x 192 pixels."""
    rows = -(-len(tiles) // COLUMNS)
    width, height = TILE[0] + GAP, TILE[1] + TEXT
    sheet = Image.new("RGB", (COLUMNS * width + GAP, rows * height + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(FONT, 14)
    for number, tile in enumerate(tiles):
        left, top = GAP + number % COLUMNS * width, GAP + number // COLUMNS * height
        picture = Image.fromarray(tile.pixels)
        picture.thumbnail(TILE)
        sheet.paste(picture, (left, top))
        for line, text in enumerate((tile.title, tile.text)):
            place = left, top + TILE[1] + 2 + 19 * line
            pen.text(place, _in_a_line(text, font), fill=ALARM if tile.alarm else INK, font=font)
    return sheet


def _in_a_line(text: str, font: ImageFont.FreeTypeFont) -> str:
    """With a sign for what no font draws in a line: Pillow writes over the next one, or raises. What is wider than a
    tile loses its middle, since names mostly differ at either end.
    """
    whole = "".join(letter if letter.isprintable() else "�" for letter in text)
    shown, kept = whole, len(whole)
    while font.getlength(shown) > TILE[0]:
        kept -= 1
        shown = f"{whole[: kept - kept // 2]}…{whole[len(whole) - kept // 2 :]}"
    return shown


def of_answers(
    runtime: Runtime, images: ImageStore, answers: Iterable[tuple[str, Judged | ImageRefused]]
) -> Image.Image:
    """The answers to images of a store, each as it was photographed, without what the model completes; one that was
    refused is a grey tile with its refusal's code, and one that is not good enough has the quality check's.
    """
    return draw([_tile(runtime, images, image_id, answer) for image_id, answer in answers])


def _tile(runtime: Runtime, images: ImageStore, image_id: str, answer: Judged | ImageRefused) -> Tile:
    if isinstance(answer, ImageRefused):
        return Tile(np.full((*TILE[::-1], 3), MISSING, dtype=np.uint8), image_id, answer.code, False)
    pixels = scaled(decode(images.read(image_id)).pixels, runtime.bundle.frame)
    if answer.diagnosis is None:
        return Tile(pixels, image_id, " ".join(answer.quality) or "not recognised", False)
    referred = answer.advice != Advice.SELF_MONITOR
    text = f"P(malignant) {answer.prediction.malignant:.2f}: {answer.diagnosis.lower()}"
    return Tile(pixels, image_id, text, referred)
