"""What a file is, told by its first bytes and never by its name."""

from __future__ import annotations

from typing import Literal

from ml.imaging.refusal import ImageRefused

Kind = Literal["jpeg", "png", "webp", "tiff", "heif", "dicom"]

# HEVC-coded still images (ISO/IEC 23008-12, 10.2). AVIF's brands are not among them: no AV1 decoder is carried.
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

_SUPPORTED: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)

# Known and refused: a truer answer than "not recognised". Leading white space is skipped for the text formats.
_UNSUPPORTED = (
    b"GIF8", b"BM", b"\0\0\1\0", b"8BPS", b"%!PS", b"\xc5\xd0\xd3\xc6", b"%PDF", b"II+\0", b"MM\0+",
    b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ", b"\xff\x0a", b"\xff\x4f\xff\x51", b"qoif", b"\x1aE\xdf\xa3",
    b"PK\3\4", b"PK\5\6", b"Rar!", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x7fELF", b"MZ",
)  # fmt: skip
_UNSUPPORTED_TEXT = (b"<svg", b"<?xml", b"<!doctype", b"<html", b"<script", b"{", b"#!")


def sniff(data: bytes) -> Kind:
    """The kind of image in `data`. Raises `ImageRefused`: empty, unknown_type, unsupported_type."""
    if not data:
        raise ImageRefused("empty")
    if data[128:132] == b"DICM":  # first: a DICOM preamble may open with the bytes of a TIFF (PS3.10, 7.1)
        return "dicom"
    for magic, kind in _SUPPORTED:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        if data[8:12] in _HEIF_BRANDS:
            return "heif"
        raise ImageRefused("unsupported_type", "ISO media file of another brand")
    head = data[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if data.startswith(_UNSUPPORTED) or head.startswith(_UNSUPPORTED_TEXT):
        raise ImageRefused("unsupported_type")
    raise ImageRefused("unknown_type")
