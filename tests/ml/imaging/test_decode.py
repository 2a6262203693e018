"""Every format and pixel layout that intake promises to read comes out as the same upright sRGB picture."""

from __future__ import annotations

import struct
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from ml.imaging import decode as decode_module
from ml.imaging import still
from ml.imaging.decode import WORKING_SIDE, decode
from ml.imaging.refusal import SENTENCES, ImageRefused
from ml.imaging.sniff import sniff
from tests.ml.imaging.samples import encode, every_format, skin_photo

PHOTO = skin_photo()
WRITABLE_MODES = {
    "JPEG": ["1", "L", "RGB", "CMYK", "YCbCr"],
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"],
    "WEBP": ["L", "P", "RGB", "RGBA"],
}


def difference(image: Image.Image, other: Image.Image = PHOTO) -> float:
    """The mean absolute difference of two RGB pictures, in grey levels."""
    return float(np.abs(np.asarray(image, np.int16) - np.asarray(other, np.int16)).mean())


def code_of(data: bytes) -> str:
    with pytest.raises(ImageRefused) as caught:
        decode(data)
    assert caught.value.message == SENTENCES[caught.value.code]
    return caught.value.code


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "heif", "dicom"])
def test_reads_every_format_by_its_content(kind: str) -> None:
    data = every_format(PHOTO)[kind]
    decoded = decode(data)
    assert sniff(data) == kind
    assert (decoded.width, decoded.height) == PHOTO.size
    assert decoded.image.mode == "RGB"
    assert decoded.image.info == {}
    assert difference(decoded.image) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_turns_the_picture_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(PHOTO, kind, exif=exif.tobytes() if kind != "TIFF" else exif)
    expected = PHOTO.copy()
    expected.getexif()[0x0112] = orientation
    expected = ImageOps.exif_transpose(expected)
    decoded = decode(data)
    assert (decoded.width, decoded.height) == expected.size == decoded.image.size
    assert difference(decoded.image, expected) < 4


def test_damaged_exif_does_not_cost_the_photo() -> None:
    data = encode(PHOTO, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40)
    assert difference(decode(data).image) < 4


@pytest.mark.parametrize(
    ("kind", "mode"),
    [(kind, mode) for kind, modes in WRITABLE_MODES.items() for mode in modes],
)
def test_reads_every_pixel_mode(kind: str, mode: str) -> None:
    source = PHOTO.convert(mode)
    data = encode(source, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert difference(decode(data).image, source.convert("RGB")) < 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_upper_byte(kind: str) -> None:
    grey = np.asarray(PHOTO.convert("L"))
    source = Image.fromarray(grey.astype(np.uint16) * 257)
    assert difference(decode(encode(source, kind)).image, Image.fromarray(grey).convert("RGB")) == 0


def test_transparency_is_laid_on_white() -> None:
    seen = Image.new("RGBA", (100, 80), (10, 200, 30, 0))
    seen.paste((10, 200, 30, 255), (0, 0, 50, 80))
    image = decode(encode(seen, "PNG")).image
    assert image.getpixel((80, 40)) == (255, 255, 255)
    assert image.getpixel((20, 40)) == (10, 200, 30)


def test_palette_with_a_transparent_colour_is_laid_on_white() -> None:
    image = Image.new("P", (100, 80), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.paste(0, (0, 0, 50, 80))
    assert decode(encode(image, "PNG", transparency=0)).image.getpixel((10, 10)) == (255, 255, 255)


def test_a_colour_profile_is_turned_into_srgb() -> None:
    red_and_green_swapped = _swapped_profile()
    plain = decode(encode(PHOTO, "PNG")).image
    converted = decode(encode(PHOTO, "PNG", icc_profile=red_and_green_swapped)).image
    assert difference(plain) == 0
    assert converted.getpixel((5, 5))[1] > converted.getpixel((5, 5))[0]  # type: ignore[index]


def _swapped_profile() -> bytes:
    """The sRGB profile with the colorants of red and green exchanged, so that its effect is easy to see."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    for index in range(count):
        at = 132 + 12 * index
        name = bytes(profile[at : at + 4])
        if name in (b"rXYZ", b"gXYZ"):
            profile[at : at + 4] = b"gXYZ" if name == b"rXYZ" else b"rXYZ"
    return bytes(profile)


def test_an_unusable_colour_profile_is_ignored() -> None:
    assert difference(decode(encode(PHOTO, "PNG", icc_profile=b"not a profile")).image) == 0


def test_a_large_picture_is_reduced_and_its_own_size_is_told() -> None:
    decoded = decode(encode(Image.new("RGB", (5000, 3000), "tan"), "PNG"))
    assert (decoded.width, decoded.height) == (5000, 3000)
    assert decoded.image.size == (WORKING_SIDE, 1229)


def test_the_first_picture_of_a_phones_jpeg_is_taken() -> None:
    data = encode(PHOTO, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64))])
    assert data.startswith(b"\xff\xd8")
    assert difference(decode(data).image) < 4


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_several_pictures_in_one_file_are_refused(kind: str) -> None:
    assert code_of(encode(PHOTO, kind, save_all=True, append_images=[skin_photo(seed=1)])) == "several_images"


def test_a_tiff_with_a_preview_as_second_page_is_read() -> None:
    buffer = BytesIO()
    PHOTO.save(buffer, "TIFF", save_all=True, append_images=[_page(PHOTO.resize((80, 60)), 1)])
    assert difference(decode(buffer.getvalue()).image) == 0


def test_a_camera_raw_file_is_refused_and_its_preview_is_not_taken_for_the_photo() -> None:
    assert code_of(encode(PHOTO, "TIFF", tiffinfo={254: 1})) == "unsupported_type"


def _page(image: Image.Image, subfile_type: int) -> Image.Image:
    image.encoderinfo = {"tiffinfo": {254: subfile_type}}
    return image


@pytest.mark.parametrize("mode", ["F", "I", "LAB"])
def test_pixels_without_a_stated_scale_are_refused(mode: str) -> None:
    source = Image.new(mode, (100, 80))
    assert code_of(encode(source, "TIFF")) == "unsupported_encoding"


def test_size_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of(b"") == "empty"
    assert code_of(b"\xff\xd8\xff" + b"\0" * decode_module.MAX_BYTES) == "too_large_bytes"
    assert code_of(encode(Image.new("RGB", (still.MIN_SIDE - 1, 300)), "PNG")) == "too_small"
    assert code_of(encode(Image.new("RGB", (6000, 64)), "PNG")) == "too_small"
    monkeypatch.setattr(still, "MAX_PIXELS", 100 * 100)
    assert code_of(encode(Image.new("RGB", (100, 101)), "PNG")) == "too_many_pixels"
    assert decode(encode(Image.new("RGB", (100, 100)), "PNG")).width == 100


def test_a_huge_picture_is_refused_without_a_warning_of_pillows() -> None:
    """In a Python of its own, since pytest has its own mind about warnings."""
    huge = BytesIO()
    Image.new("1", (10_000, 9_500)).save(huge, "PNG")
    code = "import sys\nfrom ml.imaging.decode import decode\ndecode(sys.stdin.buffer.read())"
    finished = subprocess.run([sys.executable, "-c", code], input=huge.getvalue(), capture_output=True, check=False)
    told = finished.stderr.decode()
    assert "ImageRefused: too_many_pixels" in told
    assert "Warning" not in told


def test_pixels_are_not_touched_before_the_size_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(self: Image.Image) -> None:
        raise AssertionError("decoded before its size was checked")

    huge = encode(Image.new("1", (10_000, 5_001)), "PNG")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", loaded)
    assert code_of(huge) == "too_many_pixels"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GIF89a" + b"\0" * 50, "unsupported_type"),
        (b"  \n<SVG xmlns='http://www.w3.org/2000/svg'/>", "unsupported_type"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "unsupported_type"),
        (b"%PDF-1.7\n", "unsupported_type"),
        (b"PK\3\4" + b"\0" * 30, "unsupported_type"),
        (b"\0\0\0\x20ftypavif" + b"\0" * 30, "unsupported_type"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 30, "unsupported_type"),
        (b"hello", "unknown_type"),
        (b"\0" * 200, "unknown_type"),
    ],
)
def test_other_files_are_named_for_what_they_are(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_a_jpeg_of_hundreds_of_scans_is_refused() -> None:
    data = encode(PHOTO, "JPEG", progressive=True)
    assert difference(decode(data).image) < 4
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]
    assert code_of(data[:start] + scan * 300 + data[-2:]) == "decompression_bomb"


def test_a_phones_photo_with_a_video_behind_it_is_read() -> None:
    data = encode(PHOTO, "JPEG") + b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\x08" * 5000
    assert difference(decode(data).image) < 4
