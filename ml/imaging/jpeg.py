"""An ordinary JPEG without anything but its picture: the same pixels to the last bit, and no second loss by encoding.

A new file is written around the picture's own entropy-coded data. Of the old file's headers only the numbers that
decoding needs are carried over, each read, checked and written again: the size, the sampling, the quantisation and
Huffman tables that the scan uses. So EXIF, GPS, XMP, IPTC, comments, previews and whatever lies between or behind the
segments cannot come along. What remains is decoded strictly: data that no pixel needs are an error there (but for the
last bits in the decoder's register, fewer than eight bytes).

Source: ITU-T T.81 (1992), Annexes B and F; JFIF 1.02 for the colours and the header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import simplejpeg
from numpy.typing import NDArray

_START, _END = b"\xff\xd8", b"\xff\xd9"
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
_FRAME, _HUFFMAN, _QUANTISATION, _SCAN, _COMMENT, _ADOBE = 0xC0, 0xC4, 0xDB, 0xDA, 0xFE, 0xEE
_APPLICATION = range(0xE0, 0xF0)
_TELLING = (0xE1, 0xE2)  # EXIF and XMP may say how the picture was held, and ICC what its colours mean
_MOST_SEGMENTS = 100  # of headers without metadata
_NOT_CODED = re.compile(rb"\xff[^\0]")  # in coded data 0xFF is always followed by 0
_YCBCR = [1, 2, 3]
_WHOLE_SPECTRUM = b"\0\x3f\0"  # all coefficients, in one pass
_LARGEST_DC = 11  # the categories of differences that 8 bits can have (T.81, F.1.2.1)

Pixels = NDArray[np.uint8]


class _Unusual(Exception):
    """Something that photos hardly ever have: such a file is decoded and encoded again."""


def plain_size(data: bytes) -> tuple[int, int] | None:
    """The (width, height) of a JPEG of three components whose headers cannot turn it or change its colours.

    None for any other.
    """
    size, at = None, 2
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] in _TELLING:
            return None
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _SCAN:
            return size
        if marker == _FRAME and length == 17:
            size = int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + length
    return None


def bare(data: bytes, size: tuple[int, int]) -> tuple[bytes, Pixels] | None:
    """A JPEG file with the picture of `data` and nothing else, and its pixels, uint8 RGB (height, width, 3).

    None unless `data` is a JPEG of the ordinary kind: baseline, three components as YCbCr, one scan, no restart
    intervals, sound to its last byte. `size` is its (width, height), which the caller has found acceptable; that the
    picture is upright and has no colour profile is for the caller to know too.
    """
    try:
        file = _rewritten(data, size)
        return file, simplejpeg.decode_jpeg(file, "RGB", strict=True)
    except (_Unusual, IndexError, ValueError):
        return None


def encode(pixels: Pixels, quality: int) -> bytes:
    """`pixels`, uint8 RGB (height, width, 3), as a baseline JPEG.

    4:4:4, because halved colour resolution blurs the small colour differences that a lesion is judged by.
    """
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", "444"))


def _rewritten(data: bytes, size: tuple[int, int]) -> bytes:
    frame: bytes | None = None
    quantisation: dict[int, bytes] = {}
    huffman: dict[int, bytes] = {}
    at = 2
    while True:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != 0xFF or length < 2:
            raise _Unusual
        body = data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == _ADOBE and body[:5] == b"Adobe" and body[11] != 1:  # other colours than YCbCr
            raise _Unusual
        if marker == _SCAN and frame is not None:
            break
        if marker == _FRAME and frame is None:
            frame = body
        elif marker == _QUANTISATION:
            quantisation |= _quantisation(body)
        elif marker == _HUFFMAN:
            huffman |= _huffman(body)
        elif marker not in _APPLICATION and marker != _COMMENT:
            raise _Unusual
    components, tables = _components(frame, size), _scan(body)
    found = _NOT_CODED.search(data, at)
    if found is None or found.group() != _END:
        raise _Unusual
    needed = [*dict.fromkeys(component[2] for component in components)]
    coded = sorted({*(table >> 4 for table in tables), *(0x10 | table & 15 for table in tables)})
    if not (quantisation.keys() >= set(needed) and huffman.keys() >= set(coded)):
        raise _Unusual
    return b"".join((
        _START,
        _JFIF,
        *(_segment(_QUANTISATION, bytes([number]) + quantisation[number]) for number in needed),
        _segment(_FRAME, frame),
        *(_segment(_HUFFMAN, bytes([number]) + huffman[number]) for number in coded),
        _segment(_SCAN, body),
        data[at : found.end()],
    ))  # fmt: skip


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def _quantisation(body: bytes) -> dict[int, bytes]:
    """The tables of a segment, by number (T.81, B.2.4.1): 64 steps of one byte each."""
    tables = {body[at]: body[at + 1 : at + 65] for at in range(0, len(body), 65)}
    if len(body) % 65 or any(number > 3 for number in tables):  # or steps of two bytes
        raise _Unusual
    return tables


def _huffman(body: bytes) -> dict[int, bytes]:
    """The tables of a segment, by class and number (T.81, B.2.4.2): how many codes of each length; their symbols."""
    tables, at = {}, 0
    while at < len(body):
        number, end = body[at], at + 17 + sum(body[at + 1 : at + 17])
        symbols = body[at + 17 : end]
        if end > len(body) or number & 0xEE or len(set(symbols)) < len(symbols):
            raise _Unusual
        if number < 0x10 and any(symbol > _LARGEST_DC for symbol in symbols):
            raise _Unusual
        tables[number] = body[at + 1 : end]
        at = end
    return tables


def _components(frame: bytes, size: tuple[int, int]) -> Sequence[bytes]:
    """Number, sampling and quantisation table of each component of a frame of 8 bits (T.81, B.2.2)."""
    width, height = size
    expected = b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x03"
    components = [frame[at : at + 3] for at in range(6, len(frame), 3)]
    if len(frame) != 15 or frame[:6] != expected or [each[0] for each in components] != _YCBCR:
        raise _Unusual
    if components[0][1] not in (0x11, 0x12, 0x21, 0x22) or any(each[1] != 0x11 for each in components[1:]):
        raise _Unusual
    return components


def _scan(body: bytes) -> Sequence[int]:
    """The Huffman tables of each component of a scan that holds the whole picture (T.81, B.2.3)."""
    if len(body) != 10 or body[0] != 3 or [*body[1:7:2]] != _YCBCR or body[7:] != _WHOLE_SPECTRUM:
        raise _Unusual
    return body[2:8:2]
