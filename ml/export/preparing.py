"""What is done to a frame before the networks see it, for an export to take along: the segmenter, and code."""

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import keras
import numpy as np

from ml.bundle import sha256
from ml.export import backends
from ml.imaging import field, hair, light
from ml.preparation import SEGMENTERS, Preparation
from ml.segmentation import eight_bits, focus, outline
from ml.segmentation.segmenter import Segmenter, input_size

NAME: Final = "segmenter"
ALWAYS: Final = (field, light)
SOMETIMES: Final = (hair, outline, focus)


def code(preparation: Preparation) -> list[Path]:
    """The files of this project that make a frame, each of which needs nothing else of it."""
    modules = list(ALWAYS)
    modules += [hair] if preparation.remove_hair else []
    modules += [outline, focus] if preparation.segmenter else []
    return [file(module) for module in modules]


def file(module: ModuleType) -> Path:
    """Where a module's code is."""
    return Path(str(module.__file__))


def write_segmenter(name: str, to: str, output: Path, frames: np.ndarray, *, int8: bool) -> dict[str, Any]:
    """Writes the segmenter of a name for a runtime, for `int8` the 8-bit file that it has; gives what `export.json`
    says of it. `difference` is the largest of a logit from Keras on `frames`, None in eight bits, whose cost its card
    tells. Raises ExportError where it has no such file.
    """
    folder, target = SEGMENTERS / name, output / f"{NAME}{backends.SUFFIXES[to]}"
    width, height = input_size(folder)
    difference = None
    if int8:
        shutil.copyfile(eight_bits.written(folder), target)
    else:
        fitted = Segmenter(folder).model
        model = keras.Model(fitted.input, {"logits": fitted.output}, name=NAME)
        backends.write_model(to, model, target)
        views = np.stack([outline.shrunk(frame, (width, height)) for frame in frames])
        difference = backends.difference(model, backends.run(to, target, views), views)
    return {
        "name": name,
        "file": target.name,
        "sha256": sha256(target),
        "input": {"name": "image", "dtype": "uint8", "shape": [None, height, width, 3]},
        "outputs": ["logits"],
        "largest_difference_of_logits": difference,
    }
