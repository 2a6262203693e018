"""What a new bundle says about some test images, as one picture in its figures."""

from typing import Final

import numpy as np

from ml.predict.sheet import Tile, draw
from ml.recipes.recipe import FIGURES, Made

SHOWN: Final = 12
NAME: Final = "predictions.png"


def of_test_images(made: Made) -> list[str]:
    """Writes `figures/predictions.png`: test images drawn evenly from low to high P(malignant), with their labels."""
    order = np.argsort(made.scored.p_malignant, kind="stable")
    rows = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int)]
    draw([_tile(made, row) for row in rows]).quantize(128).save(made.folder / FIGURES / NAME, optimize=True)
    return [f"[Answers to {len(rows)} test images]({FIGURES}/{NAME}), from the least to the most suspicious."]


def _tile(made: Made, row: int) -> Tile:
    scored, codes = made.scored, made.taxonomy.codes
    said, true = codes[scored.named[row]].lower(), codes[scored.labels[row]].lower()
    title = f"P(malignant) {scored.p_malignant[row]:.2f}: {said}"
    return Tile(made.test.pixels[row], title, f"labelled {true}", bool(scored.referred[row]))
