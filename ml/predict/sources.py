"""What lies in a folder or ZIP file of images."""

import zipfile
from collections import defaultdict
from pathlib import Path, PurePosixPath

from ml.data.images import SUFFIXES, ImageStore, files_in, path_in_archive


class NoImagesError(Exception):
    """A folder or file without an image; the message says what images are."""

    exit_status = 2


def image_ids(images: ImageStore) -> list[str]:
    """The ids to answer, sorted: hidden files, such as the `._` twins that macOS puts into ZIP files, are no images.

    Raises NoImagesError where there is none.
    """
    ids = [image_id for image_id in images.ids() if not image_id.startswith(".")]
    if not ids:
        raise NoImagesError(f"No image was found. Images are files whose names end in {', '.join(sorted(SUFFIXES))}.")
    return ids


def left_out(source: Path) -> list[str]:
    """The paths of files in a folder or ZIP file whose names do not end as an image's does; hidden files, which nobody
    put there, are none of them.
    """
    return [str(path) for path in _files(source) if path.suffix.lower() not in SUFFIXES]


def repeated(source: Path) -> dict[str, list[str]]:
    """Each id that several images of a folder or ZIP file share, with their paths in it; the first is the one that
    is answered.
    """
    by_id = defaultdict(list)
    for path in _files(source):
        if path.suffix.lower() in SUFFIXES:
            by_id[path.stem].append(str(path))
    return {image_id: paths for image_id, paths in by_id.items() if len(paths) > 1}


def _files(source: Path) -> list[PurePosixPath]:
    """The paths of what a folder or ZIP file holds, hidden files left out, in the order in which `ImageStore` takes
    them; nothing for any other file.
    """
    if source.is_dir():
        paths = [PurePosixPath(path.relative_to(source)) for path in files_in(source)]
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            names = sorted(entry.filename for entry in archive.infolist() if not entry.is_dir())
            paths = [path_in_archive(name) for name in names]
    else:
        return []
    return [path for path in paths if not path.name.startswith(".")]
