"""DICOM pictures come out as they are meant to be shown, and what cannot be shown safely is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import RLELosslessEncoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ml.imaging.decode import decode
from ml.imaging.refusal import ImageRefused
from tests.ml.imaging.samples import dicom, dicom_jpeg, encode, skin_photo

PHOTO = skin_photo(200, 150)
GREY = PHOTO.convert("L")


def pixels_of(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(decode(data).image, np.int16)


def code_of(data: bytes) -> str:
    with pytest.raises(ImageRefused) as caught:
        decode(data)
    return caught.value.code


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_native_colour(syntax: UID) -> None:
    assert (pixels_of(dicom(PHOTO, syntax=syntax)) == np.asarray(PHOTO)).all()


def test_planes_stored_one_after_another() -> None:
    planes = np.asarray(PHOTO).transpose(2, 0, 1).tobytes()
    assert (pixels_of(dicom(PHOTO, PlanarConfiguration=1, PixelData=planes)) == np.asarray(PHOTO)).all()


def test_native_ybr_is_turned_into_rgb() -> None:
    ybr = PHOTO.convert("YCbCr")
    shown = pixels_of(dicom(PHOTO, PhotometricInterpretation="YBR_FULL", PixelData=ybr.tobytes()))
    assert np.abs(shown - np.asarray(PHOTO)).max() <= 3


def test_run_length_encoding() -> None:
    encoded = RLELosslessEncoder.encode(
        np.asarray(PHOTO),
        rows=150,
        columns=200,
        samples_per_pixel=3,
        number_of_frames=1,
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        photometric_interpretation="RGB",
        planar_configuration=0,
    )
    data = dicom(PHOTO, syntax=RLELossless, PixelData=encapsulate([encoded]))
    assert (pixels_of(data) == np.asarray(PHOTO)).all()


@pytest.mark.parametrize(
    ("syntax", "stream", "photometric", "tolerance"),
    [
        (JPEGBaseline8Bit, "JPEG", "YBR_FULL_422", 4),
        (JPEGBaseline8Bit, "JPEG", "RGB", 4),  # a common lie: the JFIF marker inside is believed
        (JPEG2000Lossless, "JPEG2000", "YBR_RCT", 0),
        (JPEG2000Lossless, "JPEG2000", "RGB", 0),
    ],
)
def test_compressed_colour(syntax: UID, stream: str, photometric: str, tolerance: float) -> None:
    shown = pixels_of(dicom_jpeg(PHOTO, syntax, stream, PhotometricInterpretation=photometric))
    assert np.abs(shown - np.asarray(PHOTO)).mean() <= tolerance


@pytest.mark.parametrize("ids", [b"RGB", b"\1\2\3"])
def test_a_jpeg_that_holds_rgb_without_saying_so(ids: bytes) -> None:
    stream = encode(PHOTO, "JPEG", keep_rgb=True, quality=95, subsampling=0)
    stream = stream[:2] + stream[18:]  # without Adobe's marker, which says that the channels were not transformed
    for old, new in zip(b"RGB", ids, strict=True):
        stream = stream.replace(bytes([old, 0x11, 0]), bytes([new, 0x11, 0]), 1)  # in the frame header
    scan = stream.index(b"\xff\xda\0\x0c\3") + 5
    stream = stream[:scan] + bytes([ids[0], 0, ids[1], 0, ids[2], 0]) + stream[scan + 6 :]
    data = dicom(PHOTO, syntax=JPEGBaseline8Bit, PixelData=encapsulate([stream]))
    assert np.abs(pixels_of(data) - np.asarray(PHOTO)).mean() < 4


def test_grey_as_stored_and_inverted() -> None:
    assert (pixels_of(dicom(GREY))[..., 0] == np.asarray(GREY)).all()
    assert (pixels_of(dicom(GREY, PhotometricInterpretation="MONOCHROME1"))[..., 0] == 255 - np.asarray(GREY)).all()


def test_a_window_is_applied() -> None:
    ramp = Image.fromarray(np.tile(np.arange(0, 4000, 20, dtype=np.uint16), (100, 1)))
    shown = pixels_of(dicom(ramp, BitsStored=12, HighBit=11, WindowCenter=1000, WindowWidth=1000))[0, :, 0]
    assert shown[:25].max() == 0  # up to 500, the window's lower end
    assert shown[76:].min() == 255  # from 1520 on
    assert abs(shown[50] - 127) <= 2  # 1000, its centre


def test_signed_values_with_a_rescale_and_a_window() -> None:
    stored = np.tile(np.arange(-500, 500, 5, dtype=np.int16), (100, 1))
    image = Image.fromarray(stored.view(np.uint16))
    data = dicom(
        image, PixelRepresentation=1, RescaleIntercept=1000, RescaleSlope=2, WindowCenter=1000, WindowWidth=2000
    )
    shown = pixels_of(data)[0, :, 0]
    assert shown[0] <= 1
    assert abs(shown[100] - 127) <= 2
    assert (np.diff(shown) >= 0).all()


def test_16_bits_without_a_window_are_stretched() -> None:
    ramp = Image.fromarray(np.tile(np.linspace(300, 900, 200).astype(np.uint16), (100, 1)))
    shown = pixels_of(dicom(ramp))
    assert (shown.min(), shown.max()) == (0, 255)


def test_palette_colour() -> None:
    tables: dict[str, Any] = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour, last in (("Red", 200), ("Green", 100), ("Blue", 50))
        for part, value in (
            ("Descriptor", [256, 0, 16]),
            ("Data", (np.linspace(0, last, 256).astype(np.uint16) * 257).tobytes()),
        )
    }
    image = Image.new("L", (100, 80), 255)
    shown = pixels_of(dicom(image, PhotometricInterpretation="PALETTE COLOR", **tables))
    assert shown[40, 40].tolist() == [200, 100, 50]


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, JPEGLSLossless, JPEGLosslessSV1, UID("1.2.3")])
def test_other_transfer_syntaxes_are_refused(syntax: UID) -> None:
    data = dicom(GREY)
    old = str(ExplicitVRLittleEndian).encode()
    length = len(old) + len(old) % 2
    at = data.index(old)
    new = str(syntax).encode()
    new += b"\0" * (len(new) % 2)
    data = data[: at - 2] + len(new).to_bytes(2, "little") + new + data[at + length :]
    group = data.index(b"\2\0\0\0UL\4\0") + 8
    size = int.from_bytes(data[group : group + 4], "little") + len(new) - length
    data = data[:group] + size.to_bytes(4, "little") + data[group + 4 :]
    assert code_of(data) == "unsupported_encoding"


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"NumberOfFrames": 2, "PixelData": GREY.tobytes() * 2}, "several_images"),
        ({"BurnedInAnnotation": "YES"}, "burned_in_text"),
        ({"Rows": 60000, "Columns": 60000}, "too_many_pixels"),
        ({"Rows": 10}, "too_small"),
        ({"Rows": 151}, "corrupt"),
        ({"PhotometricInterpretation": "HSV"}, "unsupported_encoding"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "unsupported_encoding"),
        ({"SamplesPerPixel": 7}, "corrupt"),
    ],
)
def test_what_cannot_be_shown_is_refused(elements: dict[str, Any], code: str) -> None:
    assert code_of(dicom(GREY, **elements)) == code


def test_a_stream_of_another_size_than_the_header_is_refused() -> None:
    assert code_of(dicom_jpeg(PHOTO, JPEGBaseline8Bit, "JPEG", Rows=149)) == "corrupt"


def test_a_large_stream_behind_a_small_header_is_never_decoded() -> None:
    huge = Image.new("L", (9000, 6000))
    assert code_of(dicom_jpeg(huge, JPEGBaseline8Bit, "JPEG", Rows=100, Columns=100)) == "too_many_pixels"


def test_a_file_without_a_picture() -> None:
    data = dicom(GREY)
    assert code_of(data[: data.index(b"\xe0\x7f\x10\x00")]) == "no_image"
