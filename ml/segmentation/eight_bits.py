"""The segmenter in 8 bits, for devices that have no Keras: written beside its weights, and measured against them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from ml.bundle import sha256
from ml.data import examples, ham10000, splits
from ml.evaluate import check_readable
from ml.export.errors import ExportError
from ml.imaging.preprocess import FRAME, VERSION, Size
from ml.metrics import DRAWS, measure_mean
from ml.metrics.measured import plain
from ml.quantisation import folding, tflite
from ml.segmentation import card, masks, measure, outline
from ml.segmentation.focus import masked
from ml.segmentation.segmenter import CARD, MANIFEST, Segmenter

FILE: Final = "segmenter.int8.tflite"
FACTS: Final = "eight_bits"
"""What the manifest calls what was measured."""

REPRESENTATIVE: Final = 256
"""Train images that the ranges of activations are taken from."""

Frames = Callable[[np.ndarray], np.ndarray]
"""From frames, uint8 (n, rows, columns, 3), to frames."""


def quantise(folder: Path, data: Path, draws: int = DRAWS) -> dict[str, Any]:
    """Writes `segmenter.int8.tflite` into a segmenter's folder, and into its manifest and card what eight bits cost on
    the validation split of HAM10000 in `data`; gives that.

    Raises DataError as `ml.segmentation.masks.read`, FileNotFoundError for a folder that is no segmenter.
    """
    segmenter, target = Segmenter(folder), folder / FILE
    network = keras.Model(segmenter.model.get_layer("scale").output, segmenter.model.output, name="segmenter")
    views = np.stack([outline.shrunk(frame, segmenter.size) for frame in _few(data)])
    tflite.write(network, folding.pixels(segmenter.model), target, views)

    validation = masks.read(data, ("validation",))["validation"]
    check_readable(validation)
    lesions = validation.lesions
    exact = segmenter.logits(validation.pixels)
    rounded = outline.log_odds(tflite.opened(target), validation.pixels, segmenter.size)
    fits = {kind: measure.jaccards(grids, validation.masks) for kind, grids in (("float", exact), ("int8", rounded))}
    alike = measure.jaccards(rounded, [outline.outline(grid, FRAME) for grid in exact])
    told = {
        "file": FILE,
        "sha256": sha256(target),
        "bytes": target.stat().st_size,
        "ranges_from": len(views),
        "frames": VERSION,
        "images": len(validation),
        "lesions": len(set(lesions)),
        **{
            kind: {name: vars(value) for name, value in measure.measure(fit, lesions, draws).items()}
            for kind, fit in fits.items()
        },
        "difference": vars(measure_mean(fits["int8"] - fits["float"], lesions, draws)),
        "agreement": vars(measure_mean(alike, lesions, draws)),
    }
    manifest = {**segmenter.manifest, FACTS: plain(told, 6)}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    (folder / CARD).write_text(card.write(manifest))
    return dict(manifest[FACTS])


def written(folder: Path) -> Path:
    """The 8-bit file of a segmenter. Raises ExportError where its folder has none that was made of its weights."""
    told, file = json.loads((folder / MANIFEST).read_text()).get(FACTS), folder / FILE
    if told is None or not file.exists() or sha256(file) != told["sha256"]:
        raise ExportError(
            f"{folder} holds no {FILE} that was measured: "
            f"`python -m ml segment-quantise --segmenter {folder} --data <HAM10000>` writes it."
        )
    return file


def blanking(file: Path, size: Size, threads: int = 1) -> Frames:
    """Blanks the skin in frames by the outlines of a written file, which sees them at `size`, as `ml.prepare` does by
    those of the weights.
    """
    network = tflite.opened(file, threads)

    def blanked(frames: np.ndarray) -> np.ndarray:
        found = outline.masks(network, frames, size)
        return np.stack([masked(frame, mask) for frame, mask in zip(frames, found, strict=True)])

    return blanked


def _few(data: Path) -> np.ndarray:
    """Frames of some train images: uint8 (n, rows, columns, 3)."""
    dataset = ham10000.read(data)
    table = splits.assign(dataset.table, masks.SPLIT_SEED)
    train = table[table["split"] == "train"]
    rows = train.sample(min(REPRESENTATIVE, len(train)), random_state=0)
    return examples.load(rows, dataset.images, FRAME).pixels
