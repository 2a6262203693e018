"""A ZIP of pictures from a stranger, read one entry at a time.

Nothing is trusted but bytes that have been counted: the headers' sizes are only hints, names are never used as paths,
and a bad entry is told apart from a bad archive so that the rest goes on.
"""

from __future__ import annotations

import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import BinaryIO, Self

from ml.imaging.decode import MAX_BYTES
from ml.imaging.refusal import ArchiveRefused, ImageRefused

MIB = 1024 * 1024
LONGEST_NAME = 255  # characters
_CHUNK = 64 * 1024
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # the others allow dictionaries of gigabytes
_LITTER = {".ds_store", "thumbs.db", "desktop.ini"}
_NESTED = (
    b"PK\3\4",
    b"PK\5\6",
    b"Rar!\x1a\7",
    b"7z\xbc\xaf\x27\x1c",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"\x28\xb5\x2f\xfd",
)
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode categories: control, direction, surrogate, line


@dataclass(frozen=True)
class Limits:
    """What an archive may hold. The defaults take the whole of HAM10000 (10,015 images, under 3 GB)."""

    entries: int = 20_000
    directory_bytes: int = 8 * MIB
    entry_bytes: int = MAX_BYTES
    total_bytes: int = 4096 * MIB  # unpacked
    manifest_bytes: int = 16 * MIB
    ratio: int = 200  # unpacked over packed, once an entry has passed a mebibyte; photos are packed already


@dataclass(frozen=True)
class Entry:
    """One file of an archive: either `data`, or the `refusal` that says why there is none.

    `name` is the file's base name, or its path where several have that base name, in Unicode's composed form (NFC) and
    with at most `LONGEST_NAME` characters; it is unique among an archive's entries with data.
    """

    name: str
    data: bytes | None
    refusal: ImageRefused | None


class Archive:
    """An opened archive. Use as a context manager; `file` must be seekable and stays open.

    Raises `ArchiveRefused`: not_an_archive, corrupt_archive, too_many_entries, several_manifests,
    empty_archive.
    """

    def __init__(self, file: BinaryIO, limits: Limits = Limits()) -> None:
        self._limits = limits
        self._unpacked = 0
        self._zip = _opened(file, limits)
        members = [info for info in self._zip.infolist() if not _is_folder_or_litter(info)]
        if len(members) > limits.entries:
            raise ArchiveRefused("too_many_entries")
        manifests = [info for info in members if _path(info).lower().endswith(".csv")]
        if len(manifests) > 1:
            raise ArchiveRefused("several_manifests")
        self._manifest = manifests[0] if manifests else None
        self._images = [info for info in members if info is not self._manifest]
        if not self._images:
            raise ArchiveRefused("empty_archive")
        self._paths = [_shown_path(_path(info)) for info in self._images]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def names(self) -> list[str]:
        """The names of what `entries` will give, in that order: neither checked nor unique."""
        bases = [PurePosixPath(path).name for path in self._paths]
        counts = Counter(base.casefold() for base in bases)
        return [
            base if counts[base.casefold()] == 1 else _shortened(path)
            for base, path in zip(bases, self._paths, strict=True)
        ]

    def paths(self) -> list[str]:
        """The whole paths of what `entries` will give, in that order, parted by `/`: neither checked nor unique."""
        return self._paths

    def manifest(self) -> bytes | None:
        """The archive's CSV file, or None. Raises `ArchiveRefused`: manifest_too_large, corrupt_archive."""
        if self._manifest is None:
            return None
        try:
            return self._read(self._manifest, self._limits.manifest_bytes)
        except ArchiveRefused:
            raise
        except ImageRefused as refusal:
            code = "manifest_too_large" if refusal.code == "too_large_bytes" else "corrupt_archive"
            raise ArchiveRefused(code, refusal.code) from refusal

    def entries(self) -> Iterator[Entry]:
        """Every other file, in the archive's order, one in memory at a time.

        Raises `ArchiveRefused` (archive_too_large) as soon as more has been unpacked than the limits allow.
        """
        seen: set[str] = set()
        for info, name in zip(self._images, self.names(), strict=True):
            try:
                _check_name(_path(info))
                if name.casefold() in seen:
                    raise ImageRefused("duplicate_name")
                data = self._read(info, self._limits.entry_bytes)
                if data.startswith(_NESTED) or data[257:262] == b"ustar":
                    raise ImageRefused("nested_archive")
            except ArchiveRefused:
                raise
            except ImageRefused as refusal:
                yield Entry(_printable(name), None, refusal)
            else:
                seen.add(name.casefold())
                yield Entry(name, data, None)

    def _read(self, info: zipfile.ZipInfo, limit: int) -> bytes:
        """The bytes of one file, counted as they come. Raises `ImageRefused`, and `ArchiveRefused` past the total."""
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ImageRefused("unsafe_name", "symbolic link")
        if info.flag_bits & _ENCRYPTED:
            raise ImageRefused("encrypted")
        if info.compress_type not in _METHODS:
            raise ImageRefused("unsupported_compression")
        parts: list[bytes] = []
        size = 0
        try:
            with self._zip.open(info) as member:
                while part := member.read(_CHUNK):
                    size += len(part)
                    self._unpacked += len(part)
                    if self._unpacked > self._limits.total_bytes:
                        raise ArchiveRefused("archive_too_large")
                    if size > limit:
                        raise ImageRefused("too_large_bytes")
                    if size > MIB and size > self._limits.ratio * max(info.compress_size, 1):
                        raise ImageRefused("decompression_bomb")
                    parts.append(part)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise ImageRefused("corrupt", type(error).__name__) from error
        return b"".join(parts)


class _DirectoryReader:
    """A file that refuses to hand out more than `limit` bytes at once: the central directory is read in one piece."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._limit = limit

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._limit + 1 if size < 0 else min(size, self._limit + 1))
        if len(data) > self._limit:
            raise ArchiveRefused("too_many_entries", "central directory")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """The caller's file stays open."""


def _opened(file: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    file.seek(0)
    if file.read(2) != b"PK":
        raise ArchiveRefused("not_an_archive")
    try:
        return zipfile.ZipFile(_DirectoryReader(file, limits.directory_bytes))
    except ArchiveRefused:
        raise
    except Exception as error:  # a damaged directory raises BadZipFile, struct.error, UnicodeDecodeError, ...
        raise ArchiveRefused("corrupt_archive", type(error).__name__) from error


def _path(info: zipfile.ZipInfo) -> str:
    """The path as stored. Names without the UTF-8 flag are UTF-8 all the same on macOS, code page 437 on old PCs."""
    stored = info.orig_filename
    if info.flag_bits & _UTF8_NAME:
        return stored
    try:
        return stored.encode("cp437").decode("utf-8")
    except UnicodeError:
        return stored


def _shown_path(path: str) -> str:
    """A path with `/` between its parts, in Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", str(PurePosixPath(path.replace("\\", "/"))))


def _shortened(path: str) -> str:
    """The end of a long path: it tells files apart better than the folders that all of them lie in."""
    return path if len(path) <= LONGEST_NAME else "…" + path[1 - LONGEST_NAME :]


def _is_folder_or_litter(info: zipfile.ZipInfo) -> bool:
    parts = [part.lower() for part in _path(info).replace("\\", "/").split("/")]
    return not parts[-1] or parts[0] == "__macosx" or parts[-1] in _LITTER or parts[-1].startswith("._")


def _check_name(path: str) -> None:
    """Raise `ImageRefused` (unsafe_name) for a path that climbs, starts at a root, or cannot be shown safely."""
    parts = path.replace("\\", "/").split("/")
    unsafe = (
        path.startswith(("/", "\\"))
        or path[1:2] == ":"
        or ".." in parts
        or len(parts[-1].encode("utf-8", "replace")) > 255
        or not parts[-1].strip(" .")
        or any(unicodedata.category(character) in _UNPRINTABLE for character in path)
    )
    if unsafe:
        raise ImageRefused("unsafe_name")


def _printable(name: str) -> str:
    """A refused entry's name for a report: at most `LONGEST_NAME` characters, with unprintable ones replaced."""
    shown = "".join("\ufffd" if unicodedata.category(c) in _UNPRINTABLE else c for c in name)
    return shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - 1] + "…"
