"""One still picture read by one of Pillow's decoders, after its header has been found acceptable."""

from __future__ import annotations

import re
import warnings

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from ml.imaging.budget import BudgetedBytes
from ml.imaging.refusal import ImageRefused

MAX_PIXELS = 50_000_000
MIN_SIDE = 64  # pixels; below this nothing can be said about a lesion
MAX_JPEG_SCANS = 40  # an ordinary progressive JPEG has 10; each one walks over the whole picture again
MAX_JPEG_SEGMENTS = 50_000
MAX_PNG_PACKED_CHUNKS = 40  # texts and colour profiles; Pillow unpacks up to a megabyte of each

warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `check_size` refuses less, with a sentence

_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")  # not a stuffed byte, a restart or a fill byte
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_TIFF_COMPRESSIONS = {"raw", "tiff_lzw", "packbits", "tiff_deflate", "tiff_adobe_deflate", "jpeg"}
_TIFF_SUBFILE_TYPE, _TIFF_TILE_WIDTH, _TIFF_TILE_LENGTH = 254, 322, 323


def read_still(data: bytes, pillow_format: str, *, stored_as_rgb: bool = False) -> Image.Image:
    """The decoded first picture of `data`, in the file's own mode. `pillow_format` is the only decoder tried.

    `stored_as_rgb` says that a JPEG without a JFIF or Adobe marker, which is read as YCbCr, holds red, green and blue.

    Raises `ImageRefused`, or whatever Pillow raises for a damaged file.
    """
    image = open_still(data, pillow_format)
    if stored_as_rgb and isinstance(image, JpegImagePlugin.JpegImageFile) and _read_as_ycbcr_by_default(image):
        image.draft("YCbCr", image.size)  # so that the decoder leaves the channels alone
        return Image.frombytes("RGB", image.size, image.tobytes())
    image.load()
    return image


def open_still(data: bytes, pillow_format: str) -> Image.Image:
    """The first picture of `data`, not decoded yet. Raises as `read_still` does."""
    if pillow_format == "JPEG":
        _check_jpeg(data)
    elif pillow_format == "PNG" and sum(map(data.count, (b"iCCP", b"zTXt", b"iTXt"))) > MAX_PNG_PACKED_CHUNKS:
        raise ImageRefused("decompression_bomb", "too many packed chunks")
    try:
        image = Image.open(BudgetedBytes(data), formats=[pillow_format])
    except Image.DecompressionBombError as error:
        raise ImageRefused("too_many_pixels") from error
    check_size(*image.size)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_tiff(image)
    elif pillow_format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise ImageRefused("several_images", "animation")
    return image


def check_size(width: int, height: int) -> None:
    """Raise `ImageRefused` (too_many_pixels, too_small) unless `width` by `height` pixels are acceptable."""
    if width * height > MAX_PIXELS:
        raise ImageRefused("too_many_pixels", f"{width}x{height}")
    if min(width, height) < MIN_SIDE:
        raise ImageRefused("too_small", f"{width}x{height}")


def _check_jpeg(data: bytes) -> None:
    """Refuse a JPEG whose first picture has more scans or segments than any camera writes.

    What follows that picture is not looked at: phones append previews and videos, which hold any bytes.
    """
    scans, at = 0, 2
    for _ in range(MAX_JPEG_SEGMENTS):
        found = _JPEG_MARKER.search(data, at)
        if found is None or (marker := data[found.start() + 1]) == _END_OF_IMAGE:
            return
        scans += marker == _START_OF_SCAN
        if scans > MAX_JPEG_SCANS:
            break
        at = found.end()
        if marker != _START_OF_IMAGE:
            at += int.from_bytes(data[at : at + 2], "big")
    raise ImageRefused("decompression_bomb", "too many scans or segments")


def _read_as_ycbcr_by_default(image: JpegImagePlugin.JpegImageFile) -> bool:
    """Whether libjpeg would only be guessing when it takes three channels for YCbCr."""
    says_so = {"jfif", "adobe_transform"} & image.info.keys()
    return image.mode == "RGB" and not says_so and [layer[0] for layer in image.layer] != list(b"RGB")


def _check_tiff(image: TiffImagePlugin.TiffImageFile) -> None:
    """Refuse what libtiff would spend too much on, camera raw files, and files of several pages."""
    tags = image.tag_v2
    if image.info.get("compression") not in _TIFF_COMPRESSIONS:
        raise ImageRefused("unsupported_encoding", "TIFF compression")
    if int(tags.get(_TIFF_TILE_WIDTH, 0)) * int(tags.get(_TIFF_TILE_LENGTH, 0)) > MAX_PIXELS:
        raise ImageRefused("decompression_bomb", "TIFF tile")
    if tags.get(_TIFF_SUBFILE_TYPE, 0) & 1:  # DNG, NEF and their like: the first page is only a preview
        raise ImageRefused("unsupported_type", "camera raw")
    try:
        image.seek(1)
    except EOFError:
        return
    second_is_preview = image.tag_v2.get(_TIFF_SUBFILE_TYPE, 0) & 1
    image.seek(0)
    if not second_is_preview:
        raise ImageRefused("several_images", "TIFF pages")
