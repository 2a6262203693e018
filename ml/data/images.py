"""Encoded images by id, from folders and ZIP files alike."""

import threading
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

from ml.data.errors import DataError

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".dcm"})


class ImageStore:
    """Reads images named `<image_id>.<suffix>` from folders (searched to any depth) and ZIP files, in the order
    given: the first that has an id wins.

    Raises DataError `no_image_source` for a path that is neither.
    """

    def __init__(self, *sources: Path) -> None:
        self._lock = threading.Lock()
        self._archives: dict[Path, zipfile.ZipFile] = {}
        self._where: dict[str, tuple[Path, str | None]] = {}
        for source in sources:
            if source.is_dir():
                names = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
                found: dict[str, tuple[Path, str | None]] = {path.stem: (path, None) for path in names}
            else:
                archive = self._archives[source] = _open(source)
                members = (name for name in archive.namelist() if PurePosixPath(name).suffix.lower() in SUFFIXES)
                found = {PurePosixPath(name).stem: (source, name) for name in members}
            self._where = found | self._where

    def ids(self) -> list[str]:
        """Every image id, sorted."""
        return sorted(self._where)

    def read(self, image_id: str) -> bytes:
        """The encoded bytes of one image; safe to call from several threads. Raises KeyError for an unknown id."""
        path, member = self._where[image_id]
        if member is None:
            return path.read_bytes()
        with self._lock:
            return self._archives[path].read(member)


def _open(source: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile):
        raise DataError("no_image_source", f"{source} is neither a folder nor a ZIP file.") from None
