"""Several images with what a model says about each, as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ml.advice import Advice
from ml.data.images import ImageStore
from ml.imaging.refusal import ImageRefused
from ml.recipes.recipe import FIGURES, Made
from ml.runtime import Runtime

COLUMNS: Final = 4
TILE: Final = (256, 192)
TEXT: Final = 46
GAP: Final = 8
SHOWN: Final = 12
NAME: Final = "predictions.png"
INK: Final = (34, 34, 34)
ALARM: Final = (176, 58, 0)


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
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for place, tile in enumerate(tiles):
        left, top = GAP + place % COLUMNS * width, GAP + place // COLUMNS * height
        picture = Image.fromarray(tile.pixels)
        picture.thumbnail(TILE)
        sheet.paste(picture, (left, top))
        for line, text in enumerate((tile.title, tile.text)):
            pen.text((left, top + TILE[1] + 2 + 19 * line), text, fill=ALARM if tile.alarm else INK, font=font)
    return sheet


def of_images(runtime: Runtime, images: ImageStore, ids: Sequence[str]) -> Image.Image:
    """The answers to images of a store; one that cannot be read is a grey tile with its refusal's code."""
    tiles = []
    for image_id in ids:
        try:
            pixels = runtime.prepare(images.read(image_id))
        except ImageRefused as refusal:
            tiles.append(Tile(np.full((*TILE[::-1], 3), 200, dtype=np.uint8), image_id, refusal.code, False))
            continue
        (answer,) = runtime.predict([pixels])
        code = max(answer.decision, key=lambda code: answer.decision[code])
        referred = answer.advice != Advice.SELF_MONITOR
        tiles.append(Tile(pixels, image_id, f"P(malignant) {answer.malignant:.2f}: {code.lower()}", referred))
    return draw(tiles)


def of_test_images(made: Made) -> list[str]:
    """Writes `figures/predictions.png`: test images drawn evenly from low to high P(malignant), with their labels."""
    order = np.argsort(made.scored.p_malignant, kind="stable")
    rows = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int)]
    folder = made.folder / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    draw([_tile(made, row) for row in rows]).quantize(128).save(folder / NAME, optimize=True)
    return [f"[Answers to {len(rows)} test images]({FIGURES}/{NAME}), from the least to the most suspicious."]


def _tile(made: Made, row: int) -> Tile:
    scored, codes = made.scored, made.taxonomy.codes
    said, true = codes[scored.named[row]].lower(), codes[scored.labels[row]].lower()
    title = f"P(malignant) {scored.p_malignant[row]:.2f}: {said}"
    return Tile(made.test.pixels[row], title, f"labelled {true}", bool(scored.referred[row]))
