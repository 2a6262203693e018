"""Synthetic pictures that look a little like dermoscopic lesions, for the demo and the tests.

They are drawn by code: skin with pores and hairs, and a blotchy lesion in the manner of one of the seven classes.
They show nobody, they carry the word "synthetic" wherever their table goes, and no metric on them says anything about
real lesions.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from ml.classes import CLASSES, HAM10000_DX
from ml.imaging.preprocess import Size

SIZE: Final[Size] = (600, 450)
SITES: Final = ("back", "lower extremity", "trunk", "upper extremity", "abdomen", "face", "chest", "foot")
SKINS: Final = ((224, 178, 160), (236, 196, 176), (198, 148, 124), (168, 118, 92), (122, 84, 64))
METADATA: Final = "synthetic_metadata.csv"


@dataclass(frozen=True)
class Look:
    """How a class is drawn: colours from rim to middle, radius as a share of the height, raggedness of the border,
    and strength of the network of lines.
    """

    colours: tuple[tuple[int, int, int], ...]
    radius: float
    ragged: float
    network: float


LOOKS: Final[dict[str, Look]] = {
    "MEL": Look(((120, 74, 58), (58, 38, 36), (34, 28, 38), (92, 84, 110)), 0.32, 0.35, 0.6),
    "NV": Look(((150, 100, 72), (118, 74, 52)), 0.24, 0.10, 0.5),
    "BCC": Look(((214, 142, 136), (196, 120, 122), (90, 84, 112)), 0.26, 0.25, 0.0),
    "AKIEC": Look(((206, 128, 116), (222, 170, 150)), 0.28, 0.40, 0.1),
    "BKL": Look(((168, 126, 92), (140, 100, 70), (190, 156, 116)), 0.30, 0.20, 0.2),
    "DF": Look(((176, 122, 98), (222, 190, 178)), 0.22, 0.12, 0.3),
    "VASC": Look(((170, 46, 58), (122, 24, 48)), 0.20, 0.15, 0.0),
}


def draw(dx: str, seed: int, size: Size = SIZE) -> Image.Image:
    """A synthetic RGB picture of `size` in the manner of class `dx`; the same seed gives the same picture."""
    rng = np.random.default_rng(seed)
    width, height = size
    look = LOOKS[dx]
    tone = np.array(SKINS[rng.integers(len(SKINS))], dtype=np.float32)
    picture = _skin(rng, width, height, tone)
    depth = _depth(rng, width, height, look)
    inside = np.clip(depth * 6, 0, 1)[..., None]
    lesion = _colours(rng, look, depth) * np.sqrt(tone / np.array(SKINS[0], dtype=np.float32))  # seen through the skin
    if look.network:
        lines = np.abs(_noise(rng, width, height, 26)) < 0.12
        lesion = lesion - (26 * look.network) * lines[..., None]
    picture = picture * (1 - inside) + lesion * inside
    picture = _hairs(rng, np.clip(picture, 0, 255).astype(np.uint8))
    grain = rng.normal(0, 2.5, picture.shape)
    return Image.fromarray(np.clip(picture + grain, 0, 255).astype(np.uint8))


def synthesize(count: int, folder: Path, seed: int = 0, size: Size = SIZE) -> Path:
    """Writes `count` pictures of `size` and a table in HAM10000's published layout to `folder`; gives the table's path.

    One lesion for each picture, classes in turn. `dx_type` and `dataset` say `synthetic`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    published = {code: dx for dx, code in HAM10000_DX.items()}
    rows = []
    for index in range(count):
        code = CLASSES[index % len(CLASSES)]
        image_id = f"SYNTHETIC_{seed:03d}{index:05d}"
        draw(code, seed * 100_000 + index, size).save(folder / f"{image_id}.jpg", "JPEG", quality=92)
        rows.append(
            {
                "lesion_id": f"SYNTHETIC_LESION_{seed:03d}{index:05d}",
                "image_id": image_id,
                "dx": published[code],
                "dx_type": "synthetic",
                "age": int(rng.integers(5, 18)) * 5,
                "sex": str(rng.choice(["female", "male"])),
                "localization": str(rng.choice(SITES)),
                "dataset": "synthetic",
            }
        )
    path = folder / METADATA
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def _noise(rng: np.random.Generator, width: int, height: int, cells: int) -> np.ndarray:
    """Smooth noise about 0, float32 (height, width), with `cells` hills across the height."""
    coarse = rng.normal(0, 1, (cells, max(2, round(cells * width / height)))).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def _skin(rng: np.random.Generator, width: int, height: int, tone: np.ndarray) -> np.ndarray:
    shade = 6 * _noise(rng, width, height, 4) + 4 * _noise(rng, width, height, 40) + 5 * _noise(rng, width, height, 110)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1 - 0.12 * (x**2 + y**2)
    return np.asarray((tone + shade[..., None]) * vignette[..., None])


def _depth(rng: np.random.Generator, width: int, height: int, look: Look) -> np.ndarray:
    """How far inside the lesion a pixel lies: 1 in the middle, 0 at the border, negative outside."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    dx = x - width * rng.uniform(0.44, 0.56)
    dy = y - height * rng.uniform(0.44, 0.56)
    along = (np.cos(angle) * dx + np.sin(angle) * dy) * rng.uniform(0.75, 1.0)
    across = -np.sin(angle) * dx + np.cos(angle) * dy
    radius = look.radius * height * rng.uniform(0.85, 1.2)
    border = 1 + look.ragged * 0.5 * _noise(rng, width, height, 7)
    return np.asarray(border - np.hypot(along, across) / radius)


def _colours(rng: np.random.Generator, look: Look, depth: np.ndarray) -> np.ndarray:
    """Blotches of the look's colours, drifting from the first at the rim to the last in the middle."""
    height, width = depth.shape
    colours = np.array(look.colours, dtype=np.float32) * rng.uniform(0.92, 1.08)
    place = np.clip(depth + 0.25 * _noise(rng, width, height, 6), 0, 0.999) * (len(colours) - 1)
    low = place.astype(int)
    share = (place - low)[..., None]
    mixed = colours[low] * (1 - share) + colours[np.minimum(low + 1, len(colours) - 1)] * share
    return np.asarray(mixed + 7 * (_noise(rng, width, height, 30) + _noise(rng, width, height, 90))[..., None])


def _hairs(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    for _ in range(rng.integers(0, 7)):
        start = rng.uniform(0, (width, height))
        bend, end = start + rng.normal(0, height / 4, 2), start + rng.normal(0, height / 2, 2)
        t = np.linspace(0, 1, 24)[:, None]
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
        cv2.polylines(picture, [curve.astype(np.int32)], False, (52, 40, 36), int(rng.integers(1, 3)), cv2.LINE_AA)
    return picture
