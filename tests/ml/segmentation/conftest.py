"""Skin with ellipses, as HAM10000 publishes lesions and their masks."""

import zipfile
from io import BytesIO
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ml.segmentation import network
from ml.segmentation.masks import Outlined

LESIONS_OF_A_CLASS = 14


def lesion(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Skin with an ellipse, uint8 (96, 128, 3), and where the ellipse is, bool (75, 100)."""
    rng = np.random.default_rng(number)
    middle, axes = rng.uniform((0.3, 0.3), (0.7, 0.7)), rng.uniform(0.08, 0.25, 2)
    x, y = np.meshgrid(np.linspace(0, 4 / 3, 400), np.linspace(0, 1, 300))
    inside = ((x - middle[0] * 4 / 3) / axes[0]) ** 2 + ((y - middle[1]) / axes[1]) ** 2 < 1
    picture = np.where(inside[..., None], (110, 70, 50), (220, 180, 160)).astype(np.uint8)
    small = cv2.resize(picture, (128, 96), interpolation=cv2.INTER_AREA)
    grain = rng.integers(0, 20, (96, 128, 3)).astype(np.uint8)
    return small + grain, inside[::4, ::4]


def png(pixels: np.ndarray) -> bytes:
    output = BytesIO()
    Image.fromarray(pixels).save(output, "PNG")
    return output.getvalue()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set with its masks in a ZIP file beside it."""
    folder = tmp_path_factory.mktemp("published")
    rows = []
    with zipfile.ZipFile(folder / "small_masks.zip", "w") as archive:
        for number in range(2 * LESIONS_OF_A_CLASS):
            pixels, mask = lesion(number)
            (folder / f"S_{number}.png").write_bytes(png(pixels))
            archive.writestr(f"masks/S_{number}_segmentation.png", png(mask.astype(np.uint8) * 255))
            rows.append({"image_id": f"S_{number}", "lesion_id": f"L_{number}", "dx": ("mel", "nv")[number % 2]})
    pd.DataFrame(rows).to_csv(folder / "small_metadata.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backbones")
    encoder = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 128, 3))
    encoder.save_weights(folder / network.IMAGENET)
    return folder


@pytest.fixture(scope="module")
def outlined() -> Outlined:
    made = [lesion(number) for number in range(40)]
    names = np.array([f"L_{number}" for number in range(40)])
    pixels = np.stack([pixels for pixels, _ in made])
    return Outlined(pixels, [mask for _, mask in made], names, np.zeros((40, 4), np.uint64))
