"""Sharper copies of the middle of some frames, used without telling a model the class.

HAM10000 has more images of a rare class's lesion than of a naevus, so one sharp copy for each lesion is a different
share of the images of each class. A model would learn that sharp means naevus, were they not used at one rate.
"""

import numpy as np
import pandas as pd
from PIL import Image

from ml.data.images import ImageStore


def draw(table: pd.DataFrame, details: ImageStore, seed: int = 0) -> np.ndarray:
    """Which rows of a table use their sharp copy: bool (n,).

    The rate is the same in every class of the table: that of the class with the smallest share of images with a copy.
    Which of the images with a copy use it is drawn by `seed`.
    """
    has_copy = table["image_id"].isin(details.ids())
    share = has_copy.groupby(table["dx"]).transform("mean")
    chance = np.divide(share.min(), share, out=np.zeros(len(table)), where=has_copy.to_numpy())
    return np.asarray(np.random.default_rng(seed).random(len(table)) < chance)


def sharpen(pixels: np.ndarray, square: Image.Image) -> np.ndarray:
    """What `ml.imaging.preprocess.scaled` gave for a photo, with the largest square in its middle taken from `square`,
    a copy of the same place: uint8 RGB, same shape.
    """
    rows, columns = pixels.shape[:2]
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    sharp = pixels.copy()
    sharp[top : top + side, left : left + side] = square.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    return sharp
