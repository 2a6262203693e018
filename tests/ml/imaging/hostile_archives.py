"""ZIP files that lie, climb, flood or break, built on the spot: (name, content, the code that must come of it).

A code of `ArchiveRefused` refuses the whole file; any other is that of its first entry.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterator
from io import BytesIO

from tests.ml.imaging.samples import encode, skin_photo

PHOTO = encode(skin_photo(120, 90), "JPEG")


def pack(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP file of `files` in their order; names may repeat."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def _link() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("photo.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def patched(data: bytes, field: int, value: bytes, *, local: int | None = None) -> bytes:
    """`data` with bytes of its first central directory entry replaced, and of its first local header at `local`."""
    body = bytearray(data)
    at = data.index(b"PK\1\2") + field
    body[at : at + len(value)] = value
    if local is not None:
        body[local : local + len(value)] = value
    return bytes(body)


def overlapping(copies: int, size: int) -> bytes:
    """Many entries that all share one compressed body (Fifield, "A better zip bomb", 2019)."""
    one = pack(("a", b"\0" * size))
    directory = one.index(b"PK\1\2")
    end = one.index(b"PK\5\6")
    entry = one[directory:end]
    entries = entry * copies
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, min(copies, 65535), min(copies, 65535), len(entries), directory, 0)
    return one[:directory] + entries + tail


def hostile_archives() -> Iterator[tuple[str, bytes, str]]:
    good = pack(("photo.jpg", PHOTO))
    for name in (
        "../photo.jpg", "a/../../photo.jpg", "/etc/photo.jpg", "C:\\photo.jpg", "c:photo.jpg", "..\\photo.jpg",
        "\\\\server\\photo.jpg", "a\nb.jpg", "a\x1b[31m.jpg", "\u202egpj.exe", "a" * 300 + ".jpg", "..", ". .", "a/..",
    ):  # fmt: skip
        yield f"path {name[:20]!r}", pack((name, PHOTO)), "unsafe_name"
    yield "zero byte in a name", good.replace(b"photo.jpg", b"pho\0o.jpg"), "unsafe_name"
    yield "symbolic link", _link(), "unsafe_name"
    yield "password", patched(good, 8, b"\1\0", local=6), "encrypted"
    yield "lzma", pack(("photo.jpg", PHOTO), method=zipfile.ZIP_LZMA), "unsupported_compression"
    yield "bzip2", pack(("photo.jpg", PHOTO), method=zipfile.ZIP_BZIP2), "unsupported_compression"
    yield "unknown method", patched(good, 10, b"\x63\0", local=8), "unsupported_compression"
    yield "wrong checksum", patched(good, 16, b"\0\0\0\0"), "corrupt"
    yield "size too small", patched(good, 24, b"\x10\0\0\0"), "corrupt"
    yield "body past the end", patched(good, 42, b"\xf0\xff\xff\x7f"), "corrupt"
    yield "body in the directory", patched(good, 42, struct.pack("<I", good.index(b"PK\1\2"))), "corrupt"
    yield "names that differ", good.replace(b"photo.jpg", b"other.exe", 1), "corrupt"
    yield "damaged body", good[:60] + b"\xff" * 40 + good[100:], "corrupt"
    yield "zip in zip", pack(("photo.jpg", good)), "nested_archive"
    yield "gzip in zip", pack(("photo.jpg", b"\x1f\x8b\x08" + PHOTO)), "nested_archive"
    yield "tar in zip", pack(("photo.jpg", b"\0" * 257 + b"ustar" + b"\0" * 300)), "nested_archive"
    yield "bomb", pack(("photo.jpg", b"\0" * 20 * 2**20)), "decompression_bomb"
    yield (
        "larger than a photo may be",
        pack(("photo.jpg", b"\0" * 26 * 2**20), method=zipfile.ZIP_STORED),
        "too_large_bytes",
    )
    yield "empty file", b"", "not_an_archive"
    yield "photo", PHOTO, "not_an_archive"
    yield "photo and zip", PHOTO + good, "not_an_archive"
    yield "first half", good[: len(good) // 2], "corrupt_archive"
    yield "without its end", good[:-10], "corrupt_archive"
    yield "only two letters", b"PK", "corrupt_archive"
    yield "directory elsewhere", good[:-6] + b"\xff\xff\xff\x7f\0\0", "corrupt"
    yield "directory of rubbish", good.replace(b"PK\1\2", b"PK99"), "corrupt_archive"
    yield "nothing in it", pack(), "empty_archive"
    yield (
        "only folders and litter",
        pack(("a/", b""), ("__MACOSX/._a.jpg", b"x"), ("a/.DS_Store", b"x")),
        "empty_archive",
    )
    yield "only a table", pack(("cases.csv", b"a,b\n")), "empty_archive"
    yield "two tables", pack(("a.csv", b""), ("b/B.CSV", b""), ("photo.jpg", PHOTO)), "several_manifests"
    yield "entries without end", overlapping(60_000, 10), "too_many_entries"
