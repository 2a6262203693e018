"""Nothing of a file but its pixels reaches what is kept."""

from __future__ import annotations

import random
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin
from pydicom.uid import JPEGBaseline8Bit

from ml.imaging.decode import decode
from ml.imaging.derivatives import clean, thumbnail
from tests.ml.imaging.samples import dicom, dicom_jpeg, encode, markers, skin_photo

SECRET = "Zebedee-Quillfeather-1961"
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><dc:creator>{SECRET}</dc:creator></x:xmpmeta>".encode()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRET  # ImageDescription
    exif[0x013B] = SECRET  # Artist
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (47.0, 22.0, 10.0), "E", (8.0, 32.0, 30.0)
    gps[27] = SECRET.encode()  # GPSProcessingMethod
    return exif.tobytes()


def _with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    return jpeg[:2] + bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload + jpeg[2:]


def _png_with_text() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", SECRET)
    text.add_text("Comment", SECRET, zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return encode(PHOTO, "PNG", pnginfo=text, exif=_exif())


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + SECRET.encode()


PHOTO = skin_photo()
JPEG = encode(PHOTO, "JPEG")
PEOPLE: dict[str, Any] = {
    "PatientName": SECRET,
    "PatientID": SECRET,
    "InstitutionName": SECRET,
    "ImageComments": SECRET,
}
LADEN = {
    "jpeg exif": encode(PHOTO, "JPEG", exif=_exif()),
    "jpeg xmp": encode(PHOTO, "JPEG", xmp=XMP),
    "jpeg comment": encode(PHOTO, "JPEG", comment=SECRET),
    "jpeg profile": encode(PHOTO, "JPEG", icc_profile=_profile()),
    "jpeg iptc": _with_segment(
        JPEG, 0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x20\x1c\x02\x50" + SECRET.encode()
    ),
    "jpeg unknown segment": _with_segment(JPEG, 0xE9, SECRET.encode()),
    "jpeg with a tail": JPEG + SECRET.encode(),
    "jpeg grey exif": encode(PHOTO.convert("L"), "JPEG", exif=_exif(), comment=SECRET),
    "png text": _png_with_text(),
    "png with a tail": encode(PHOTO, "PNG") + SECRET.encode(),
    "webp": encode(PHOTO, "WEBP", exif=_exif(), xmp=XMP, icc_profile=_profile()),
    "tiff": encode(PHOTO, "TIFF", tiffinfo={270: SECRET, 315: SECRET, 700: XMP, 33723: SECRET.encode()}),
    "heif": encode(PHOTO, "HEIF", exif=_exif(), xmp=XMP),
    "dicom": dicom(PHOTO, **PEOPLE),
    "dicom jpeg": dicom_jpeg(PHOTO, JPEGBaseline8Bit, "JPEG", PhotometricInterpretation="YBR_FULL_422", **PEOPLE),
}


@pytest.mark.parametrize("name", LADEN)
def test_no_word_about_a_person_survives(name: str) -> None:
    data = LADEN[name]
    assert SECRET.encode() in data or name == "png text"  # the test feeds what it says it feeds
    made = clean(decode(data))
    for file in (made, thumbnail(made)):
        for form in (SECRET.encode(), SECRET.encode("utf-16-le"), SECRET[:8].encode(), b"Exif", b"GPS", b"xmp", b"ICC"):
            assert form not in file
        assert set(markers(file)) <= {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}  # JFIF, tables, frame, scan: no other segment
        assert file.endswith(b"\xff\xd9")
        opened = Image.open(BytesIO(file))
        assert not opened.getexif()
        assert set(opened.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


@pytest.mark.parametrize(("size", "kept", "small"), [
    ((4000, 3000), (2048, 1536), (320, 240)),
    ((3000, 4000), (1536, 2048), (240, 320)),
    ((300, 200), (300, 200), (300, 200)),
    ((2048, 64), (2048, 64), (320, 10)),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_sizes(kind: str, size: tuple[int, int], kept: tuple[int, int], small: tuple[int, int]) -> None:
    made = clean(decode(encode(Image.new("RGB", size, "tan"), kind)))
    assert Image.open(BytesIO(made)).size == kept
    assert Image.open(BytesIO(thumbnail(made))).size == small


@pytest.mark.parametrize("size", [(600, 450), (1999, 1501)])
def test_a_thumbnail_is_as_good_as_a_careful_reduction(size: tuple[int, int]) -> None:
    data = encode(skin_photo(*size), "JPEG", quality=95)
    careful = Image.open(BytesIO(data)).resize((320, round(320 * size[1] / size[0])), Image.Resampling.LANCZOS)
    made = np.asarray(Image.open(BytesIO(thumbnail(data))), np.float32)
    error = float(np.square(made - np.asarray(careful, np.float32)).mean())
    assert 10 * np.log10(255**2 / error) > 40  # dB: beyond what an eye tells apart


def test_the_same_picture_gives_the_same_bytes() -> None:
    data = encode(PHOTO, "PNG")
    assert clean(decode(data)) == clean(decode(data))


def test_a_polyglot_loses_its_other_half() -> None:
    payload = random.Random(1).randbytes(5000)
    made = clean(decode(JPEG + b"PK\3\4" + payload + b"<script>alert(1)</script>"))
    for file in (made, thumbnail(made)):
        assert payload[:16] not in file
        assert b"<script" not in file
