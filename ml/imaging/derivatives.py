"""The only pictures that are kept and shown: JPEG files of pixels alone."""

from __future__ import annotations

import cv2
import simplejpeg

from ml.imaging.decode import Decoded
from ml.imaging.jpeg import encode

THUMBNAIL_SIDE = 320  # pixels, longest side
CLEAN_QUALITY = 95
THUMBNAIL_QUALITY = 85


def clean(picture: Decoded) -> bytes:
    """The picture as a baseline JPEG, without EXIF, GPS, XMP, IPTC, ICC profile or comment.

    What came as an ordinary JPEG keeps its pixels to the last bit.
    """
    return picture.jpeg or encode(picture.pixels, CLEAN_QUALITY)


def thumbnail(clean: bytes) -> bytes:
    """A JPEG of what `clean` gave whose longest side is at most `THUMBNAIL_SIDE`; never enlarged.

    Raises ValueError where `clean` is no JPEG.
    """
    # The decoder's own scaling goes no further down than twice the size, so that the last step smooths as it should.
    pixels = simplejpeg.decode_jpeg(clean, "RGB", min_width=2 * THUMBNAIL_SIDE, min_height=2 * THUMBNAIL_SIDE)
    height, width = pixels.shape[:2]
    scale = THUMBNAIL_SIDE / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return encode(pixels, THUMBNAIL_QUALITY)
