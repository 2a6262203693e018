"""Pictures and files made on the spot: a lesion on skin, encoded in every format that intake reads."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageFilter
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

pillow_heif.register_heif_opener()

SKIN = (214, 168, 148)
PIGMENT = (110, 66, 48)
PILLOW_FORMATS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "tiff": "TIFF", "heif": "HEIF"}


def skin_photo(
    width: int = 400,
    height: int = 300,
    *,
    seed: int = 0,
    skin: tuple[int, int, int] = SKIN,
    pigment: tuple[int, int, int] = PIGMENT,
    radius: float = 0.25,
) -> Image.Image:
    """An RGB picture of an irregular spot on skin with pores; `radius` is a share of the shorter side, 0 is no spot."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = np.arctan2(y - height / 2, x - width / 2)
    distance = np.hypot(x - width / 2, y - height / 2) / min(width, height)
    wobble = 1 + 0.12 * np.sin(3 * angle + seed) + 0.06 * np.sin(7 * angle)
    inside = 1 / (1 + np.exp((distance - radius * wobble) * 90)) if radius else np.zeros_like(distance)
    texture = random.normal(0, 6, (height, width, 1)) + random.normal(0, 14, (height, width, 1)) * inside[..., None]
    shade = inside[..., None]
    pixels = np.asarray(skin) * (1 - shade) + np.asarray(pigment) * shade + texture
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))


def encode(image: Image.Image, pillow_format: str, **options: Any) -> bytes:
    """`image` as the bytes of one file."""
    buffer = BytesIO()
    image.save(buffer, pillow_format, **options)
    return buffer.getvalue()


def dicom(image: Image.Image, *, syntax: UID = ExplicitVRLittleEndian, **elements: Any) -> bytes:
    """`image` (mode L, RGB or I;16) as a single-frame DICOM file. `elements` replace or add elements by keyword.

    A compressed `syntax` needs `PixelData` among `elements`, already encapsulated.
    """
    grey = image.mode != "RGB"
    bits = 16 if image.mode == "I;16" else 8
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = UID("1.2.826.0.1.3680043.8.498.1")
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(
        "",
        Dataset(),
        file_meta=meta,
        preamble=b"\0" * 128,
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=syntax.is_little_endian,
    )
    values: dict[str, Any] = {
        "SOPClassUID": SecondaryCaptureImageStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Rows": image.height,
        "Columns": image.width,
        "SamplesPerPixel": 1 if grey else 3,
        "PhotometricInterpretation": "MONOCHROME2" if grey else "RGB",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
        "PixelData": image.tobytes(),
    }
    if not grey:
        values["PlanarConfiguration"] = 0
    for keyword, value in (values | elements).items():
        setattr(dataset, keyword, value)
    if syntax.is_compressed:
        dataset["PixelData"].is_undefined_length = True
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def dicom_jpeg(image: Image.Image, syntax: UID, pillow_format: str, **elements: Any) -> bytes:
    """`image` as a DICOM file around one JPEG or JPEG 2000 stream."""
    stream = encode(image, pillow_format, **({"no_jp2": True} if pillow_format == "JPEG2000" else {}))
    return dicom(image, syntax=syntax, PixelData=encapsulate([stream]), **elements)


def every_format(image: Image.Image) -> dict[str, bytes]:
    """`image` as a JPEG, PNG, WebP, TIFF, HEIF and DICOM file, by kind."""
    files = {kind: encode(image, name) for kind, name in PILLOW_FORMATS.items()}
    return files | {"dicom": dicom(image)}


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A ZIP file of `files` by their names."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def markers(jpeg: bytes) -> list[int]:
    """The marker codes of a JPEG file up to its first scan."""
    found, at = [], 2
    while True:
        assert jpeg[at] == 0xFF
        found.append(jpeg[at + 1])
        if jpeg[at + 1] == 0xDA:
            return found
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
