"""An ordinary JPEG is rewritten without loss, and nothing but its picture comes along."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ml.imaging.decode import decode
from ml.imaging.derivatives import CLEAN_QUALITY, clean
from ml.imaging.jpeg import bare, encode
from ml.imaging.refusal import ImageRefused
from tests.ml.imaging import samples

PHOTO = samples.skin_photo()
JPEG = samples.encode(PHOTO, "JPEG")
SECRET = b"Zebedee-Quillfeather-1961"
JFIF = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
CODED = re.compile(rb"(?:[^\xff]+|\xff\x00)*+\xff\xd9")


def is_bare(data: bytes) -> bool:
    """Whether a JPEG has JFIF's own header, tables, one frame and one scan, each of the size that is its due."""
    at, due = 20, {0xDB: [67], 0xC0: [17], 0xC4: range(20, 276), 0xDA: [12]}
    found: list[int] = []
    while not found or found[-1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != 0xFF or length not in due.get(data[at + 1], []):
            return False
        found.append(data[at + 1])
        at += 2 + length
    few = all(found.count(marker) <= most for marker, most in ((0xDB, 3), (0xC0, 1), (0xC4, 4)))
    return few and data[:20] == JFIF and CODED.fullmatch(data, at) is not None


def pixels(data: bytes) -> np.ndarray:
    """As Pillow reads them, which decodes every other file."""
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def with_segments(segments: list[tuple[int, bytes]], jpeg: bytes = JPEG) -> bytes:
    made = (bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body for marker, body in segments)
    return jpeg[:2] + b"".join(made) + jpeg[2:]


@pytest.mark.parametrize("size", [(600, 450), (451, 601), (64, 65), (2048, 100)])
@pytest.mark.parametrize("quality", [30, 75, 100])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_no_pixel_changes(size: tuple[int, int], quality: int, subsampling: str) -> None:
    data = samples.encode(PHOTO.resize(size), "JPEG", quality=quality, subsampling=subsampling, optimize=True)
    decoded = decode(data)
    assert is_bare(decoded.jpeg)
    assert (pixels(data) == decoded.pixels).all()
    assert (pixels(clean(decoded)) == decoded.pixels).all()


@given(
    segments=st.lists(
        st.tuples(st.sampled_from([*range(0xE1, 0xEE), 0xEF, 0xFE]), st.binary(max_size=200).map(SECRET.__add__)),
        max_size=6,
    ),
    tail=st.binary(max_size=200),
)
@settings(max_examples=200, deadline=None)
def test_no_segment_and_no_tail_comes_along(segments: list[tuple[int, bytes]], tail: bytes) -> None:
    made = bare(with_segments(segments) + tail, PHOTO.size)
    assert made is not None
    assert made[0] == decode(JPEG).jpeg
    assert SECRET not in made[0]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """The JPEG with some bytes overwritten or inserted."""
    body, inserted = bytearray(JPEG), draw(st.booleans())
    edit = st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=40))
    for place, put in draw(st.lists(edit, max_size=4)):
        at = int(place**3 * len(body))  # mostly near the start, where the headers are
        body[at : at if inserted else at + len(put)] = put
    return bytes(body)


@given(data=damaged())
@settings(max_examples=400, deadline=None)
def test_whatever_is_rewritten_is_a_picture_and_nothing_else(data: bytes) -> None:
    made = bare(data, PHOTO.size)
    if made is not None:
        file, decoded = made
        assert is_bare(file)
        assert (pixels(file) == decoded).all()


def outcome(data: bytes) -> tuple[bytes, bytes] | None:
    try:
        decoded = decode(data)
    except ImageRefused:
        return None
    return decoded.pixels.tobytes(), decoded.jpeg


@given(data=damaged())
@settings(max_examples=300, deadline=None)
def test_pillow_would_read_the_headers_of_no_picture_otherwise(data: bytes) -> None:
    found = outcome(data)
    with patch("ml.imaging.decode.plain_size", return_value=None):
        assert outcome(data) == found


@pytest.mark.parametrize("before", [b"\xff\xe0", b"\xff\xc0", b"\xff\xda"])
def test_how_a_photo_was_held_is_read_wherever_it_is_written(before: bytes) -> None:
    at = JPEG.index(before)
    decoded = decode(JPEG[: at - 2] + with_segments([(0xE1, _held_upright())], JPEG[at - 2 :]))
    assert decoded.pixels.shape[:2] == PHOTO.size


def test_what_no_pixel_needs_is_not_kept_within_the_coded_data() -> None:
    assert decode(JPEG).jpeg
    hidden = JPEG[:-2] + SECRET + JPEG[-2:]
    decoded = decode(hidden)  # a decoder reads past it, so the photo is taken, and encoded anew
    assert decoded.jpeg == b""
    assert SECRET not in clean(decoded)
    assert (decoded.pixels == decode(JPEG).pixels).all()


def test_tables_that_the_scan_does_not_use_are_dropped() -> None:
    unused = [(0xDB, b"\3" + SECRET.ljust(64)), (0xC4, b"\x11" + bytes([0] * 7 + [len(SECRET)] + [0] * 8) + SECRET)]
    laden = with_segments([unused[0]])
    assert SECRET in laden
    assert decode(laden).jpeg == decode(JPEG).jpeg
    assert SECRET not in clean(decode(with_segments(unused)))  # symbols that repeat are no Huffman table


def _turned() -> bytes:
    return samples.encode(PHOTO, "JPEG", exif=_held_upright())


def _held_upright() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def _restarting() -> bytes:
    return samples.encode(PHOTO, "JPEG", restart_marker_blocks=4)


def _adobe(transform: int) -> bytes:
    return with_segments([(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))], JPEG[:2] + JPEG[20:])


UNUSUAL: dict[str, Callable[[], bytes]] = {
    "progressive": lambda: samples.encode(PHOTO, "JPEG", progressive=True),
    "grey": lambda: samples.encode(PHOTO.convert("L"), "JPEG"),
    "CMYK": lambda: samples.encode(PHOTO.convert("CMYK"), "JPEG"),
    "RGB": lambda: samples.encode(PHOTO, "JPEG", keep_rgb=True),
    "with a colour profile": lambda: samples.encode(PHOTO, "JPEG", icc_profile=b"any"),
    "turned": _turned,
    "too large": lambda: samples.encode(PHOTO.resize((2052, 400)), "JPEG"),
    "restarting": _restarting,
    "of Adobe's colours": lambda: _adobe(0),
    "with filling before its end": lambda: JPEG[:-2] + b"\xff" + JPEG[-2:],
    "with a height of its own": lambda: with_segments([(0xDC, b"\1\0")]),
    "PNG": lambda: samples.encode(PHOTO, "PNG"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_not_ordinary_is_decoded_and_encoded_again(name: str) -> None:
    decoded = decode(UNUSUAL[name]())
    assert decoded.jpeg == b""
    assert clean(decoded) == encode(decoded.pixels, CLEAN_QUALITY)


def test_adobes_own_marker_is_no_obstacle_where_it_says_what_is_so() -> None:
    data = _adobe(1)
    assert b"JFIF" not in data
    assert (pixels(data) == decode(data).pixels).all()
    assert decode(data).jpeg


def test_a_file_of_another_size_than_was_allowed_is_never_decoded() -> None:
    assert bare(JPEG, (PHOTO.width, PHOTO.height + 1)) is None


def test_encoding_keeps_full_colour_resolution() -> None:
    opened = Image.open(BytesIO(encode(np.asarray(PHOTO), 95)))
    assert [layer[1:3] for layer in opened.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
