"""Bytes from a stranger into pixels that can be trusted.

Only the picture comes out, never metadata: as pixels and, of an ordinary JPEG, as a file that is rewritten without
loss (see `ml.imaging.jpeg`). The type is told by content, the size is read from the header
before any pixel is decoded, and only the decoders named here can be reached.

Several pictures in one file: an animation (APNG, animated WebP), a TIFF with a second full page and a multi-frame DICOM
are refused, since choosing one picture could drop the lesion that was meant. JPEG (MPO) and HEIC from phones carry
gain maps, depth maps and previews beside the photo: their primary image is taken.

Bounds, measured on one core with 50-megapixel files: JPEG, PNG, WebP, TIFF about 1 s and at most 800 MB; HEIC (in a
process of its own, see `ml.imaging.heif`) 2 s; DICOM with JPEG 2000, the slowest, 2.7 s and 930 MB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml.imaging.colour import to_eight_bit, to_srgb
from ml.imaging.heif import read_heif
from ml.imaging.jpeg import bare, plain_size
from ml.imaging.refusal import ImageRefused
from ml.imaging.sniff import sniff
from ml.imaging.still import MIN_SIDE, check_size, open_still

MAX_BYTES = 25 * 1024 * 1024
WORKING_SIDE = 2048  # longest side, in pixels, of a decoded image

_PILLOW_FORMATS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "tiff": "TIFF"}
_ORIENTATION = 0x0112
_UPRIGHT = {  # the turn that undoes each EXIF orientation (CIPA DC-008, 4.6.4)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES = {_UPRIGHT[5], _UPRIGHT[6], _UPRIGHT[7], _UPRIGHT[8]}


@dataclass(frozen=True)
class Decoded:
    """A picture taken in: `pixels` are upright 8-bit sRGB (rows, columns, 3), longest side at most `WORKING_SIDE`.

    `width` and `height` are those of the file, in pixels, upright. `jpeg` is a file of these very pixels, without
    metadata, where the picture came as an ordinary JPEG of that size; else it is empty.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    jpeg: bytes = b""

    @property
    def image(self) -> Image.Image:
        """The pixels as a picture of Pillow's, with no metadata."""
        return Image.fromarray(self.pixels)


def decode(data: bytes) -> Decoded:
    """Decode one image file. Raises `ImageRefused` with a code of `ml.imaging.refusal`, and nothing else."""
    if len(data) > MAX_BYTES:
        raise ImageRefused("too_large_bytes")
    kind = sniff(data)
    try:
        if kind == "dicom":
            from ml.imaging.dicom import read_dicom  # pydicom is slow to import and seldom needed

            image = read_dicom(data)
        elif kind == "heif":
            image = read_heif(data)
        elif kind == "jpeg" and (size := plain_size(data)) and (taken := _as_it_is(data, size)):
            return taken
        else:
            image = open_still(data, _PILLOW_FORMATS[kind])
            if kind == "jpeg" and _is_upright_srgb(image) and (taken := _as_it_is(data, image.size)):
                return taken
            image.load()
        return _finish(image)
    except ImageRefused:
        raise
    except MemoryError as error:
        raise ImageRefused("too_many_pixels", "out of memory") from error
    except Exception as error:  # decoders answer a damaged file with almost any exception
        raise ImageRefused("corrupt", type(error).__name__) from error


def _as_it_is(data: bytes, size: tuple[int, int]) -> Decoded | None:
    """A JPEG that needs neither turning nor other colours; None where it is to be made smaller, or is not ordinary."""
    check_size(*size)
    made = bare(data, size) if max(size) <= WORKING_SIDE else None
    return Decoded(made[1], *size, made[0]) if made else None


def _is_upright_srgb(image: Image.Image) -> bool:
    return not image.info.get("icc_profile") and _orientation(image) not in _UPRIGHT


def _finish(image: Image.Image) -> Decoded:
    """Shrink first, so that turning and colour conversion work on a small picture."""
    width, height = image.size
    profile = image.info.get("icc_profile")
    turn = _UPRIGHT.get(_orientation(image))
    image = to_eight_bit(image)
    image.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.LANCZOS)
    if min(image.size) < MIN_SIDE:
        raise ImageRefused("too_small", "a strip, not a picture")
    if turn is not None:
        image = image.transpose(turn)
        if turn in _SWAPS_SIDES:
            width, height = height, width
    return Decoded(np.asarray(to_srgb(image, profile)), width, height)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) where EXIF is missing or damaged."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a photo with damaged EXIF is still a photo
        return 1
