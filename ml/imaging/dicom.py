"""The picture of a single-frame DICOM file (NEMA PS3.3 C.7.6.3, PS3.5 section 8 and annex A).

Only the elements named in `_WANTED` are read, so a patient's name never enters memory as anything but raw bytes.
Read: native, RLE, JPEG baseline and JPEG 2000 pixel data; monochrome, RGB, YBR and palette colour. Other transfer
syntaxes are refused: deflate could unpack without bound, and the rest needs decoders that LesionLens does not carry.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from ml.imaging.budget import BudgetedBytes
from ml.imaging.refusal import ImageRefused
from ml.imaging.still import check_size, read_still

MAX_RLE_BYTES = 8 * 1024 * 1024  # RLE is unpacked in Python

_NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian}
_JPEG = {JPEGBaseline8Bit: "JPEG", JPEGExtended12Bit: "JPEG", JPEG2000: "JPEG2000", JPEG2000Lossless: "JPEG2000"}
_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
_GREY = {"MONOCHROME1", "MONOCHROME2"}
_PALETTE = "PALETTE COLOR"

_KEYWORDS = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "BurnedInAnnotation", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "RescaleIntercept", "RescaleSlope", "ModalityLUTSequence", "VOILUTSequence",
    "ICCProfile", "PixelData", "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData",
)  # fmt: skip
_WANTED: list[BaseTag | int] = [Tag(keyword) for keyword in _KEYWORDS]


def read_dicom(data: bytes) -> Image.Image:
    """The picture in `data`, in mode L or RGB. Raises `ImageRefused`, or whatever pydicom raises for a damaged file."""
    dataset = _parse(data)
    if "PixelData" not in dataset:
        raise ImageRefused("no_image")
    if dataset.get("BurnedInAnnotation", "NO") == "YES":
        raise ImageRefused("burned_in_text")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise ImageRefused("several_images", "DICOM frames")
    check_size(int(dataset.Columns), int(dataset.Rows))
    photometric = dataset.PhotometricInterpretation
    if photometric not in _COLOUR | _GREY | {_PALETTE} or dataset.BitsAllocated not in (8, 16):
        raise ImageRefused("unsupported_encoding", "photometric interpretation or bits allocated")
    syntax = dataset.file_meta.TransferSyntaxUID
    image = _compressed(dataset, _JPEG[syntax]) if syntax in _JPEG else _plain(dataset, syntax)
    profile = dataset.get("ICCProfile")
    if profile:
        image.info["icc_profile"] = bytes(profile)
    return image


def _parse(data: bytes) -> Dataset:
    """The wanted elements. pydicom's own `dcmread` would inflate a deflated file before anyone could look at it."""
    file = BudgetedBytes(data)
    read_preamble(file, force=False)
    meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    syntax = UID(meta.get("TransferSyntaxUID", ""))
    if not syntax:
        raise ImageRefused("corrupt", "no transfer syntax")
    if syntax not in _NATIVE | set(_JPEG) | {RLELossless}:
        raise ImageRefused("unsupported_encoding", f"transfer syntax {syntax.name[:64]}")
    little = syntax != ExplicitVRBigEndian
    dataset = read_dataset(file, syntax == ImplicitVRLittleEndian, little, specific_tags=_WANTED)
    dataset.file_meta = FileMetaDataset(meta)
    return dataset


def _compressed(dataset: Dataset, pillow_format: str) -> Image.Image:
    """The one JPEG or JPEG 2000 stream of the file, decoded like any other stranger's JPEG."""
    photometric = dataset.PhotometricInterpretation
    if pillow_format == "JPEG" and dataset.BitsStored > 8:
        raise ImageRefused("unsupported_encoding", "12-bit JPEG")
    if photometric == _PALETTE or (pillow_format == "JPEG2000" and photometric.startswith("YBR_FULL")):
        raise ImageRefused("unsupported_encoding", f"{photometric} in {pillow_format}")
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    image = read_still(frame, pillow_format, stored_as_rgb=photometric == "RGB")
    if image.size != (int(dataset.Columns), int(dataset.Rows)):
        raise ImageRefused("corrupt", "the picture is not of the size that its header gives")
    return image.convert("RGB") if photometric in _COLOUR else _grey(np.asarray(image), dataset)


def _plain(dataset: Dataset, syntax: UID) -> Image.Image:
    """Native or RLE pixel data. pydicom turns YBR into RGB."""
    if syntax == RLELossless and len(dataset.PixelData) > MAX_RLE_BYTES:
        raise ImageRefused("unsupported_encoding", "large RLE picture")
    pixels = pixel_array(dataset)
    photometric = dataset.PhotometricInterpretation
    if photometric == _PALETTE:
        pixels = apply_color_lut(pixels, dataset)
    elif photometric in _GREY:
        return _grey(pixels, dataset)
    if pixels.dtype == np.uint16:
        used = 16 if photometric == _PALETTE else int(dataset.BitsStored)
        pixels = (pixels >> max(used - 8, 0)).astype(np.uint8)
    return Image.fromarray(pixels, "RGB")


def _grey(pixels: NDArray[Any], dataset: Dataset) -> Image.Image:
    """Stored values, (height, width), 8- or 16-bit integers, to mode L by the file's modality and VOI transformations.

    Without a window, 8-bit values are shown as they are and 16-bit ones from the darkest to the brightest pixel.
    The transformations are worked out once for each value that a pixel can have, not once for each pixel.
    """
    limits = np.iinfo(pixels.dtype)
    values = np.arange(limits.min, limits.max + 1, dtype=np.int64).astype(pixels.dtype)
    low, high = (0.0, 255.0) if pixels.dtype == np.uint8 else (float(pixels.min()), float(pixels.max()))
    if dataset.get("WindowCenter") is not None or dataset.get("VOILUTSequence"):
        values = apply_voi_lut(apply_modality_lut(values, dataset), dataset)
        low, high = float(values.min()), float(values.max())
    shown = np.clip((values.astype(np.float64) - low) / max(high - low, 1.0) * 255, 0, 255).astype(np.uint8)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 255 - shown
    return Image.fromarray(shown[pixels.astype(np.int32) - limits.min])
