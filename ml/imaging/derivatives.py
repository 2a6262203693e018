"""The only pictures that are kept and shown: new JPEG files made from pixels alone."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from PIL import Image

CLEAN_SIDE = 2048  # pixels, longest side
THUMBNAIL_SIDE = 320
CLEAN_QUALITY = 95
THUMBNAIL_QUALITY = 85


@dataclass(frozen=True)
class Derivatives:
    """Two baseline JPEG files of one picture, without EXIF, GPS, XMP, IPTC, ICC profile or comment."""

    clean: bytes
    thumbnail: bytes
    width: int  # of `clean`, in pixels
    height: int


def derivatives(image: Image.Image) -> Derivatives:
    """`clean` (longest side at most 2048 pixels) and `thumbnail` (at most 320) of an RGB `image`; never enlarged."""
    clean = _bare(image, CLEAN_SIDE, Image.Resampling.LANCZOS)
    return Derivatives(
        clean=_jpeg(clean, CLEAN_QUALITY),
        thumbnail=_jpeg(_bare(clean, THUMBNAIL_SIDE, Image.Resampling.HAMMING), THUMBNAIL_QUALITY),
        width=clean.width,
        height=clean.height,
    )


def _bare(image: Image.Image, side: int, resampling: Image.Resampling) -> Image.Image:
    """A copy that shares nothing with `image` but its pixels: Pillow writes a comment or profile found in `info`."""
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    bare.thumbnail((side, side), resampling)
    return bare


def _jpeg(image: Image.Image, quality: int) -> bytes:
    """4:4:4, because halved colour resolution blurs the small colour differences that a lesion is judged by."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
