"""A heatmap laid over its photo, for a person to look at."""

from io import BytesIO
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageOps

from ml.imaging.decode import decode

LONGEST_SIDE: Final = 800
STRENGTH: Final = 0.5
LEVELS: Final = (0.1, 0.35, 0.6)
"""Heat at which a line is drawn: skin is itself red and yellow, so a tint alone would be hard to see."""


def pack(heatmap: np.ndarray) -> bytes:
    """A heatmap, float32 (rows, columns) in [0, 1], in a few bytes: rows, columns, then each cell in 255ths."""
    return bytes([*heatmap.shape, *(np.clip(heatmap, 0, 1) * 255).round().astype(np.uint8).flat])


def unpack(packed: bytes | memoryview) -> np.ndarray:
    """What `pack` was given, to 1/510."""
    rows, columns, *cells = bytes(packed)
    return np.array(cells, dtype=np.float32).reshape(rows, columns) / 255


def render_heatmap(data: bytes, heatmap: np.ndarray) -> bytes:
    """A JPEG of the photo with the heatmap over it: clear below the first of LEVELS, from yellow to dark red towards
    1, and a line at each level.

    `data` is the encoded photo, `heatmap` float32 (rows, columns) in [0, 1] in the photo's upright orientation. The
    longest side is 800 pixels. Raises ImageRefused when the photo cannot be decoded.
    """
    image = decode(data).image
    # A small photo is enlarged, so that the lines are thin on it too.
    image = ImageOps.contain(image.convert("RGB"), (LONGEST_SIDE, LONGEST_SIDE))
    photo = np.asarray(image, dtype=np.float32)
    heat = np.clip(cv2.resize(heatmap.astype(np.float32), image.size, interpolation=cv2.INTER_CUBIC), 0, 1)
    above = np.clip((heat - LEVELS[0]) / (1 - LEVELS[0]), 0, 1)
    level = ((1 - above) * 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_AUTUMN), cv2.COLOR_BGR2RGB).astype(np.float32)
    opacity = (STRENGTH * np.sqrt(above))[..., None]
    blended = (photo * (1 - opacity) + colours * opacity).round().astype(np.uint8)
    _draw_levels(blended, heat)
    output = BytesIO()
    Image.fromarray(blended).save(output, "JPEG", quality=88)
    return output.getvalue()


def _draw_levels(picture: np.ndarray, heat: np.ndarray) -> None:
    """Draws a white line with a dark rim at each level, thicker for a higher one."""
    for index, level in enumerate(LEVELS):
        lines, _ = cv2.findContours((heat >= level).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, lines, -1, (40, 40, 40), index + 3, cv2.LINE_AA)
        cv2.drawContours(picture, lines, -1, (255, 255, 255), index + 1, cv2.LINE_AA)
