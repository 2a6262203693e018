"""The segmenter in 8 bits beside a bundle whose frames it blanks: what a small device runs before the network."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ml.bundle import sha256
from ml.data import examples as data
from ml.data.examples import Examples
from ml.imaging.preprocess import FRAME
from ml.preparation import Preparation
from ml.prepare import prepared
from ml.quantisation import tflite
from ml.recipes.recipe import Made
from ml.segmentation import eight_bits
from ml.segmentation.segmenter import input_size, shipped


def require() -> None:
    """Raises ExportError where the segmenter that ships has no 8-bit file."""
    eight_bits.written(shipped())


def beside(made: Made) -> Path | None:
    """The file in the bundle's folder, where the recipe has its frames blanked."""
    return Path(shutil.copy(eight_bits.written(shipped()), made.folder)) if made.recipe.mask else None


def blanking(file: Path, threads: int) -> eight_bits.Frames:
    """Blanks the skin in frames by the outlines of the shipped segmenter's file."""
    return eight_bits.blanking(file, input_size(shipped()), threads)


def before(examples: Examples, made: Made) -> np.ndarray:
    """The frames of examples as a segmenter is given them."""
    frames = data.load(examples.rows, made.images, FRAME, taxonomy=made.taxonomy).pixels
    return prepared(frames, Preparation(remove_hair=made.recipe.remove_hair))


def facts(file: Path, frames: np.ndarray, threads: tuple[int, ...]) -> dict[str, Any]:
    """Its size, and the time from a frame to one without skin: all views, the outline and the blanking."""
    return {
        "name": shipped().name,
        "file": file.name,
        "sha256": sha256(file),
        "bytes": file.stat().st_size,
        "milliseconds": {str(count): tflite.milliseconds(blanking(file, count), frames) for count in threads},
    }
