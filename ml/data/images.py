"""Encoded images by id, from folders, ZIP files and HDF5 files alike."""

import lzma
import os
import threading
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from ml.data.errors import DataError
from ml.imaging.decode import MAX_BYTES
from ml.imaging.refusal import ImageRefused

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".dcm"})
HDF5_SUFFIXES: Final = frozenset({".hdf5", ".h5"})
MASKS: Final = ("mask", "segmentation")
"""A file or folder with one of these in its name holds masks."""


class ImageStore:
    """Reads images named `<image_id>.<suffix>` from folders (searched as by `files_in`) and ZIP files, and those that
    HDF5 files keep as encoded bytes under `<image_id>`. The first that has an id wins: in the order of sources, and
    of paths in a source.

    Raises DataError `no_image_source` for a path that is none of these.
    """

    def __init__(self, *sources: Path) -> None:
        self._lock = threading.Lock()
        self._readers: dict[str, Callable[[], bytes]] = {}
        for source in sources:
            if source.is_dir():
                found = _in_folder(source)
            elif source.suffix.lower() in HDF5_SUFFIXES:
                found = _in_hdf5(source, self._lock)
            else:
                found = _in_archive(source, self._lock)
            self._readers = found | self._readers

    def ids(self) -> list[str]:
        """Every image id, sorted."""
        return sorted(self._readers)

    def read(self, image_id: str) -> bytes:
        """The encoded bytes of one image; safe to call from several threads. Raises KeyError for an unknown id, and
        ImageRefused for a file or an entry of an archive that cannot be read, or is longer than a photo may be.
        """
        reader = self._readers[image_id]
        try:
            return reader()
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
            raise ImageRefused("corrupt", str(error)) from error


def sources_in(folder: Path) -> list[Path]:
    """Where the images of a published folder may lie: in it, or in a ZIP or HDF5 file beside its tables. Archives of
    masks are left out.
    """
    archives = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in {".zip", *HDF5_SUFFIXES}]
    return [folder, *(path for path in archives if not holds_masks(path))]


def holds_masks(path: Path) -> bool:
    """Whether the name says so; see MASKS."""
    return any(word in path.name.lower() for word in MASKS)


def files_in(folder: Path) -> list[Path]:
    """The files of a folder at any depth, sorted. A link to a folder is followed, unless it leads to one in whose way
    it lies: that would have no end.
    """
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not _leads_back(Path(place, name))]
        found += [Path(place, name) for name in names]
    return sorted(found)


def _leads_back(path: Path) -> bool:
    return path.is_symlink() and any(path.samefile(above) for above in path.parents)


def _in_folder(folder: Path) -> dict[str, Callable[[], bytes]]:
    def read(path: Path) -> bytes:
        if not path.is_file():  # a pipe would be waited for
            raise ImageRefused("corrupt", "no file")
        _check_length(path.stat().st_size)
        return path.read_bytes()

    images = (path for path in reversed(files_in(folder)) if path.suffix.lower() in SUFFIXES)
    return {path.stem: partial(read, path) for path in images}


def _in_archive(source: Path, lock: threading.Lock) -> dict[str, Callable[[], bytes]]:
    try:
        archive = zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile):
        raise _not_a_source(source) from None

    def read(name: str) -> bytes:
        try:
            _check_length(archive.getinfo(name).file_size)  # no more is unpacked than it says
            with lock:
                return archive.read(name)
        except NotImplementedError as error:  # a way of packing that Python does not have
            raise ImageRefused("unsupported_compression", str(error)) from error
        except RuntimeError as error:  # what Python's ZIP files raise for want of a password
            raise ImageRefused("encrypted", str(error)) from error

    names = sorted(archive.namelist(), reverse=True)
    paths = {name: path_in_archive(name) for name in names}
    return {path.stem: partial(read, name) for name, path in paths.items() if path.suffix.lower() in SUFFIXES}


def path_in_archive(name: str) -> PurePosixPath:
    """The path that the name of a ZIP file's entry says; programs on Windows part folders by backslashes."""
    return PurePosixPath(name.replace("\\", "/"))


def _in_hdf5(source: Path, lock: threading.Lock) -> dict[str, Callable[[], bytes]]:
    import h5py  # type: ignore[import-untyped]  # most data sets have none

    try:
        file = h5py.File(source, "r")
    except OSError:
        raise _not_a_source(source) from None

    def read(name: str) -> bytes:
        with lock:
            if not isinstance(held := file[name], h5py.Dataset):
                raise ImageRefused("corrupt", "a group")
            _check_length(held.nbytes)
            value = held[()]
        return value if isinstance(value, bytes) else bytes(value.tobytes())

    return {name: partial(read, name) for name in file}


def _check_length(length: int) -> None:
    """Raises ImageRefused for what nothing would decode, before memory is filled with it."""
    if length > MAX_BYTES:
        raise ImageRefused("too_large_bytes")


def _not_a_source(source: Path) -> DataError:
    if not source.exists():
        wrong = "does not exist"
    elif source.suffix.lower() in SUFFIXES:
        wrong = "is one image: put it into a folder, and name the folder"
    else:
        wrong = "is neither a folder nor a ZIP or HDF5 file"
    return DataError("no_image_source", f"{source} {wrong}.")
