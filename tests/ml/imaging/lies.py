"""Files whose headers lie, one format after another: sizes, counts, offsets, loops and bombs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from tests.ml.imaging.samples import dicom, dicom_jpeg, encode, skin_photo

PHOTO = skin_photo(160, 120)
GREY = PHOTO.convert("L")
File = tuple[str, bytes]


def chunk(name: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    body = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", body)


def png_lies() -> Iterator[File]:
    good = encode(PHOTO, "PNG")
    start, rest = good[:33], good[33:]
    end = chunk(b"IEND", b"")
    some = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    flood = chunk(b"IDAT", zlib.compress(b"\0" * 50_000_000))
    yield "png-100k-by-100k.png", png_header(100_000, 100_000) + some + end
    yield "png-largest-size.png", png_header(2**31 - 1, 2**31 - 1) + some + end
    yield "png-tall-strip.png", png_header(1, 40_000_000) + some + end
    yield "png-zero-size.png", png_header(0, 0) + some + end
    yield "png-bad-depth.png", png_header(100, 100, depth=17) + some + end
    yield "png-bad-colour-type.png", png_header(100, 100, colour=9) + some + end
    yield "png-too-little-data.png", png_header(5000, 5000) + some + end
    yield "png-interlaced-too-little-data.png", png_header(5000, 5000, interlace=1) + some + end
    yield "png-far-too-much-data.png", png_header(100, 100) + flood + end
    yield "png-no-data.png", png_header(100, 100) + end
    yield "png-no-palette.png", png_header(100, 100, colour=3) + some + end
    yield "png-header-twice.png", start + png_header(60_000, 60_000)[8:] + rest
    yield "png-length-of-4-gigabytes.png", start + struct.pack(">I", 0xFFFFFFFF) + b"IDAT" + b"\0" * 50
    yield "png-negative-length.png", start + struct.pack(">i", -8) + b"IDAT" + b"\0" * 50
    yield "png-bad-checksum.png", good[:29] + b"\0\0\0\0" + rest
    yield "png-text-bomb.png", start + chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 30_000_000)) + rest
    yield "png-many-texts.png", start + chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 1_000_000)) * 100 + rest
    yield "png-profile-bomb.png", start + chunk(b"iCCP", b"p\0\0" + zlib.compress(b"\0" * 50_000_000)) + rest
    yield "png-many-profiles.png", start + chunk(b"iCCP", b"p\0\0" + zlib.compress(b"\0" * 1_000_000)) * 2000 + rest
    yield "png-a-million-empty-chunks.png", start + chunk(b"prIv", b"") * 300_000 + rest
    yield "png-animation-of-many.png", start + chunk(b"acTL", struct.pack(">II", 0x7FFFFFFF, 0)) + rest


def jpeg_lies() -> Iterator[File]:
    good = encode(PHOTO, "JPEG")
    progressive = encode(PHOTO, "JPEG", progressive=True)
    frame = good.index(b"\xff\xc0") + 5
    scan = progressive.rindex(b"\xff\xda")
    for name, height, width in (
        ("largest", 65535, 65535),
        ("zero", 0, 160),
        ("wider", 120, 4000),
        ("tall", 60000, 160),
    ):
        yield f"jpeg-size-{name}.jpg", good[:frame] + struct.pack(">HH", height, width) + good[frame + 4 :]
    yield "jpeg-500-scans.jpg", progressive[:scan] + progressive[scan:-2] * 500 + b"\xff\xd9"
    yield "jpeg-empty-segments.jpg", good[:2] + b"\xff\xe1\0\2" * 300_000 + good[2:]
    yield "jpeg-fill-bytes.jpg", good[:2] + b"\xff" * 1_000_000 + good[2:]
    yield "jpeg-two-frames.jpg", good[: frame - 5] + good[frame - 5 : frame + 14] * 2 + good[frame + 14 :]
    yield "jpeg-segment-length-zero.jpg", good[:2] + b"\xff\xe1\0\0" + good[2:]
    yield "jpeg-segment-past-the-end.jpg", good[:2] + b"\xff\xe1\xff\xff" + good[2:]
    yield "jpeg-no-tables.jpg", good[:20] + good[good.index(b"\xff\xc0") :]
    yield "jpeg-only-markers.jpg", b"\xff\xd8\xff\xd9" * 100
    yield "jpeg-12-bit.jpg", good[: frame - 1] + b"\x0c" + good[frame:]
    yield "jpeg-lossless.jpg", good.replace(b"\xff\xc0", b"\xff\xc3", 1)
    yield (
        "jpeg-exif-loop.jpg",
        encode(PHOTO, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\4\0\1\0\0\0\x08\0\0\0"),
    )
    yield "jpeg-exif-huge-count.jpg", encode(PHOTO, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 60)


def tiff(tags: dict[int, tuple[int, int, int]], *, tail: bytes = b"\x80" * 60_000, following: int = 0) -> bytes:
    """A little-endian TIFF of one directory, {tag: (type, count, value)}, with pixel data from byte 4096 on."""
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    return (b"II*\0" + struct.pack("<I", 8) + directory).ljust(4096, b"\0") + tail


def tiff_lies() -> Iterator[File]:
    plain = {
        256: (4, 1, 160), 257: (4, 1, 120), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 4096),
        277: (3, 1, 1), 278: (4, 1, 120), 279: (4, 1, 19_200),
    }  # fmt: skip
    tiled = {tag: entry for tag, entry in plain.items() if tag not in (273, 278, 279)}
    tiled |= {322: (4, 1, 65_536), 323: (4, 1, 65_536), 324: (4, 1, 4096), 325: (4, 1, 60_000)}
    changes: dict[str, dict[int, tuple[int, int, int]]] = {
        "width-2-billion": {256: (4, 1, 2**31 - 1)},
        "size-50k-by-50k": {256: (4, 1, 50_000), 257: (4, 1, 50_000)},
        "zero-width": {256: (4, 1, 0)},
        "negative-width": {256: (9, 1, 0xFFFFFF00)},
        "width-as-text": {256: (2, 4, 0x41414141)},
        "width-missing-value": {256: (4, 0, 0)},
        "bits-0": {258: (3, 1, 0)},
        "bits-65535": {258: (3, 1, 65535)},
        "fax-compression": {259: (3, 1, 4)},
        "unknown-compression": {259: (3, 1, 31337)},
        "lzw-rubbish": {259: (3, 1, 5)},
        "deflate-rubbish": {259: (3, 1, 8)},
        "jpeg-rubbish": {259: (3, 1, 7)},
        "packbits-rubbish": {259: (3, 1, 32773)},
        "samples-65535": {277: (3, 1, 65535)},
        "strip-past-the-end": {273: (4, 1, 0xFFFFFFF0)},
        "strip-in-the-header": {273: (4, 1, 0)},
        "strip-of-4-gigabytes": {279: (4, 1, 0xFFFFFFFF)},
        "rows-per-strip-0": {278: (4, 1, 0)},
        "a-billion-strips": {273: (4, 2**30, 4096)},
        "a-billion-byte-counts": {279: (4, 2**30, 4096)},
        "tag-of-4-gigabytes": {270: (2, 0xFFFFFFFF, 100)},
        "profile-of-nothing": {34675: (7, 60_000, 4096)},
        "exif-loop": {34665: (4, 1, 8)},
        "orientation-9": {274: (3, 1, 9)},
    }
    for name, change in changes.items():
        yield f"tiff-{name}.tif", tiff(plain | change)
    yield "tiff-huge-tile.tif", tiff(tiled)
    yield "tiff-huge-compressed-tile.tif", tiff(tiled | {259: (3, 1, 8)}, tail=zlib.compress(b"\0" * 10_000_000))
    yield "tiff-directory-loop.tif", tiff(plain, following=8)
    yield "tiff-second-page-past-the-end.tif", tiff(plain, following=0x7FFFFFFF)
    yield "tiff-empty-directory.tif", tiff({})
    yield "tiff-65535-tags.tif", b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 270, 2, 4, 0) * 65535
    yield "tiff-directory-at-0.tif", b"II*\0\0\0\0\0" + b"\0" * 100
    yield "tiff-directory-past-the-end.tif", b"MM\0*\xff\xff\xff\xf0" + b"\0" * 100


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp_lies() -> Iterator[File]:
    good = encode(PHOTO, "WEBP")
    picture = good[20:]
    largest = b"\0\0\0\0" + b"\xff\xff\xff" * 2
    yield "webp-canvas-16-million-wide.webp", riff((b"VP8X", largest), (b"VP8 ", picture))
    yield "webp-canvas-of-another-size.webp", riff((b"VP8X", b"\0\0\0\0" + b"\xe7\3\0" * 2), (b"VP8 ", picture))
    yield "webp-animation.webp", encode(PHOTO, "WEBP", save_all=True, append_images=[skin_photo(160, 120, seed=2)])
    frame = b"\0" * 6 + b"\xff\xff\xff" * 2 + b"\0" * 4
    yield (
        "webp-frame-outside.webp",
        riff((b"VP8X", b"\2\0\0\0" + b"\x9f\0\0" * 2), (b"ANIM", b"\0" * 6), (b"ANMF", frame)),
    )
    yield "webp-length-of-4-gigabytes.webp", good[:16] + b"\xff\xff\xff\xff" + good[20:]
    yield "webp-file-length-0.webp", good[:4] + b"\0\0\0\0" + good[8:]
    yield "webp-lossless-largest.webp", riff((b"VP8L", b"\x2f\xff\xff\xff\x0f" + b"\0" * 40))
    yield "webp-no-picture.webp", riff((b"VP8X", b"\0\0\0\0" + b"\x9f\0\0" * 2), (b"EXIF", b"\0" * 40))
    yield "webp-only-its-name.webp", riff()


def heif_of_shared_metadata() -> bytes:
    """Nine hundred metadata blocks that all point at the same two megabytes."""
    blocks = [{"type": "mime", "content_type": "application/x", "data": b"12345678"}] * 900
    laden = PHOTO.copy()
    laden.info["metadata"] = blocks
    body = bytearray(encode(laden, "HEIF") + bytes(2_000_000))
    first = body.index(b"iloc") + 12  # entries of 18 bytes: item, reference, base offset, extents, offset, length
    for entry in range(first + 18, first + 18 * 901, 18):
        struct.pack_into(">I", body, entry + 4, 0)
        struct.pack_into(">II", body, entry + 10, len(body) - 2_000_000, 2_000_000)
    return bytes(body)


def heif_lies() -> Iterator[File]:
    yield "heif-metadata-that-shares-its-bytes.heic", heif_of_shared_metadata()
    good = encode(PHOTO, "HEIF")
    size = good.index(b"ispe") + 8
    meta = good.index(b"meta") - 4
    location = good.index(b"iloc") + 4
    brand = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic"
    for name, width, height in (
        ("largest", 2**32 - 1, 2**32 - 1),
        ("50k", 50_000, 50_000),
        ("0", 0, 0),
        ("100", 100, 100),
    ):
        yield f"heif-size-{name}.heic", good[:size] + struct.pack(">II", width, height) + good[size + 8 :]
    yield "heif-box-length-0.heic", good[:meta] + b"\0\0\0\0" + good[meta + 4 :]
    yield (
        "heif-box-length-64-bit.heic",
        good[:meta] + b"\0\0\0\1" + good[meta + 4 : meta + 8] + b"\xff" * 8 + good[meta + 8 :],
    )
    yield "heif-box-of-4-gigabytes.heic", good[:meta] + b"\xff\xff\xff\xff" + good[meta + 4 :]
    yield "heif-location-rubbish.heic", good[:location] + b"\xff" * 24 + good[location + 24 :]
    yield (
        "heif-boxes-in-boxes.heic",
        brand + b"".join(struct.pack(">I", 80_000 - 12 * i) + b"meta\0\0\0\0" for i in range(5000)),
    )
    yield "heif-only-its-brand.heic", brand
    yield "heif-brand-length-0.heic", b"\0\0\0\0ftypheic" + b"\0" * 100
    yield "heif-brand-of-4-gigabytes.heic", b"\xff\xff\xff\xffftypheic" + b"\0" * 100
    yield "heif-no-picture-data.heic", good[: good.index(b"mdat") + 4]


def element(group: int, number: int, kind: bytes, length: int, body: bytes = b"") -> bytes:
    """An explicit little-endian DICOM element of a kind with a 32-bit length."""
    return struct.pack("<HH2sHI", group, number, kind, 0, length) + body


def dicom_lies() -> Iterator[File]:
    good = dicom(PHOTO)
    at = good.index(b"\xe0\x7f\x10\0")
    forever = 0xFFFFFFFF
    item = struct.pack("<HHI", 0xFFFE, 0xE000, forever)
    empty_item = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    yield "dicom-pixels-of-4-gigabytes.dcm", good[: at + 8] + b"\xfe\xff\xff\xff" + good[at + 12 :]
    yield "dicom-pixels-without-an-end.dcm", good[: at + 8] + b"\xff\xff\xff\xff" + good[at + 12 :]
    yield "dicom-pixels-of-4-bytes.dcm", good[: at + 8] + b"\4\0\0\0" + good[at + 12 :]
    yield "dicom-element-past-the-end.dcm", good[:at] + element(0x11, 0x1001, b"OB", 0x7FFFFFFF) + good[at:]
    yield "dicom-text-without-an-end.dcm", good[:at] + element(0x11, 0x1001, b"UT", forever) + good[at:]
    yield "dicom-nested-sequences.dcm", good[:at] + (element(0x11, 0x1010, b"SQ", forever) + item) * 50_000 + good[at:]
    yield (
        "dicom-a-million-items.dcm",
        good[:at] + element(0x11, 0x1010, b"SQ", forever) + empty_item * 300_000 + good[at:],
    )
    yield "dicom-tiny-elements.dcm", good[:at] + struct.pack("<HH2sH", 0x11, 0x1001, b"LO", 0) * 300_000 + good[at:]
    yield (
        "dicom-unknown-kind-of-value.dcm",
        good[:at] + struct.pack("<HH2sH", 0x11, 0x1001, b"ZZ", 4) + b"abcd" + good[at:],
    )
    yield "dicom-no-elements.dcm", b"\0" * 128 + b"DICM"
    yield "dicom-rubbish.dcm", b"\0" * 128 + b"DICM" + b"\xa5" * 4000
    changes: dict[str, dict[str, Any]] = {
        "65535-by-65535": {"Rows": 65535, "Columns": 65535},
        "zero-rows": {"Rows": 0},
        "one-row-more": {"Rows": 121},
        "no-samples": {"SamplesPerPixel": 0},
        "16-bits-of-8": {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15},
        "60000-bits": {"BitsStored": 60_000},
        "window-of-0": {"WindowCenter": 0, "WindowWidth": 0},
        "endless-window": {"WindowCenter": "9e307", "WindowWidth": "9e307"},
        "a-million-frames": {"NumberOfFrames": 1_000_000},
        "no-palette": {"PhotometricInterpretation": "PALETTE COLOR"},
        "colour-in-one-sample": {"PhotometricInterpretation": "RGB"},
        "burned-in": {"BurnedInAnnotation": "YES"},
    }
    for name, change in changes.items():
        yield f"dicom-{name}.dcm", dicom(GREY, **change)
    yield "dicom-deflated.dcm", dicom(GREY, syntax=DeflatedExplicitVRLittleEndian)
    huge = Image.new("L", (20_000, 5_000))
    yield "dicom-jpeg-larger-than-said.dcm", dicom_jpeg(huge, JPEGBaseline8Bit, "JPEG", Rows=100, Columns=100)
    for name, stream in (
        ("empty", b""),
        ("cut", encode(GREY, "JPEG")[:500]),
        ("png", encode(GREY, "PNG")),
        ("html", b"<html></html>"),
    ):
        yield f"dicom-jpeg-{name}.dcm", dicom(GREY, syntax=JPEGBaseline8Bit, PixelData=encapsulate([stream or b"\0\0"]))
    for name, head in (("no-segments", 0), ("16-segments", 16), ("a-billion-segments", 2**30)):
        stream = struct.pack("<16I", head, *[2**31] * 15) + b"\x81\x00" * 200
        yield f"dicom-run-length-{name}.dcm", dicom(GREY, syntax=RLELossless, PixelData=encapsulate([stream]))


def lies() -> Iterator[File]:
    """Every file of this module."""
    for group in (png_lies, jpeg_lies, tiff_lies, webp_lies, heif_lies, dicom_lies):
        yield from group()
