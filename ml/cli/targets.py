"""Where the answers to images may be written: never over the images."""

import os
from pathlib import Path
from typing import Final

from ml.cli.options import UsageError, require_writable
from ml.data.images import SUFFIXES, files_in

PICTURES: Final = (".png", ".jpg", ".jpeg")


def require_targets(images: Path, output: Path, picture: Path | None) -> None:
    """Raises UsageError where answers to `images`, or the picture of them, cannot be written to the file named, would
    replace what is to be answered or each other, or would lie there as one more image.
    """
    if picture and picture.suffix.lower() not in PICTURES:
        raise UsageError(f"{picture} cannot be drawn: give it one of the endings {', '.join(PICTURES)}.")
    for file in (output, picture) if picture else (output,):
        require_writable(file)
        if _same(file, images) or (file.exists() and any(_same(file, image) for image in _images_in(images))):
            raise UsageError(f"{file} is what is to be answered, and would be replaced: name another file.")
        if file.suffix.lower() in SUFFIXES and file.parent.resolve().is_relative_to(images.resolve()):
            raise UsageError(f"{file} would lie among the images as one of them: name a file in another folder.")
    if picture and _same(output, picture):
        raise UsageError(f"{picture} would replace the answers: name another file for the picture.")


def _images_in(source: Path) -> list[Path]:
    return [path for path in files_in(source) if path.suffix.lower() in SUFFIXES] if source.is_dir() else []


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are of one file, by any name or link; also of one that is not there yet."""
    if one.exists() and other.exists():
        return os.path.samefile(one, other)
    return one.resolve() == other.resolve()
