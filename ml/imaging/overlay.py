"""A heatmap laid over its photo, for a person to look at."""

from io import BytesIO
from typing import Final

import cv2
import numpy as np
from PIL import Image

from ml.imaging.decode import decode

LONGEST_SIDE: Final = 800
STRENGTH: Final = 0.55


def render_heatmap(data: bytes, heatmap: np.ndarray) -> bytes:
    """A JPEG of the photo with the heatmap over it: clear where the map is 0, from yellow to dark red towards 1.

    `data` is the encoded photo, `heatmap` float32 (rows, columns) in [0, 1] in the photo's upright orientation. The
    longest side is at most 800 pixels. Raises ImageRefused when the photo cannot be decoded.
    """
    image = decode(data).image
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    photo = np.asarray(image.convert("RGB"), dtype=np.float32)
    heat = np.clip(cv2.resize(heatmap.astype(np.float32), image.size, interpolation=cv2.INTER_CUBIC), 0, 1)
    level = (heat * 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(255 - level, cv2.COLORMAP_AUTUMN), cv2.COLOR_BGR2RGB).astype(np.float32)
    opacity = (STRENGTH * heat)[..., None]
    blended = photo * (1 - opacity) + colours * opacity
    output = BytesIO()
    Image.fromarray(blended.round().astype(np.uint8)).save(output, "JPEG", quality=88)
    return output.getvalue()
