"""Files that are no ordinary images, where images are looked for: named, and never an end of the rest."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest

from ml.data.images import ImageStore
from ml.imaging.decode import MAX_BYTES
from ml.imaging.refusal import ImageRefused
from ml.predict.sources import image_ids, left_out, repeated

PHOTO = b"\xff\xd8\xff a photo"


def refusal(store: ImageStore, image_id: str) -> str:
    with pytest.raises(ImageRefused) as refused:
        store.read(image_id)
    return refused.value.code


def in_folder(path: Path, content: bytes) -> Path:
    path.mkdir()
    (path / "long.jpg").write_bytes(content)
    (path / "a.jpg").write_bytes(PHOTO)
    return path


def in_zip(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("long.jpg", content)
        archive.writestr("a.jpg", PHOTO)
    return path


def in_hdf5(path: Path, content: bytes) -> Path:
    with h5py.File(path, "w") as file:
        file["long"] = np.frombuffer(content, dtype=np.uint8)
        file["a"] = np.frombuffer(PHOTO, dtype=np.uint8)
    return path


@pytest.mark.parametrize(("made", "name"), [(in_folder, "photos"), (in_zip, "photos.zip"), (in_hdf5, "photos.hdf5")])
def test_a_file_that_is_too_long_for_a_photo_is_refused_unread(
    tmp_path: Path, made: Callable[[Path, bytes], Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes of a ZIP file may unpack to more than there is memory."""
    store = ImageStore(made(tmp_path / name, bytes(MAX_BYTES + 1)))

    def unread(*_: object) -> bytes:
        raise AssertionError("it was read")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", unread)
        patched.setattr(zipfile.ZipFile, "read", unread)
        patched.setattr(h5py.Dataset, "__getitem__", unread)
        assert refusal(store, "long") == "too_large_bytes"
    assert store.read("a") == PHOTO


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "away.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "a.jpg").write_bytes(PHOTO)
    store = ImageStore(tmp_path)
    assert store.ids() == ["a", "away", "pipe"]
    assert (refusal(store, "away"), refusal(store, "pipe")) == ("corrupt", "corrupt")
    assert store.read("a") == PHOTO


def test_a_zip_file_that_windows_has_made_is_read_as_any_other(tmp_path: Path) -> None:
    """PowerShell parts folders by backslashes."""
    source = tmp_path / "photos.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for name in (r"photos\visit\ISIC_1.jpg", r"photos\ISIC_2.jpg", r"other\ISIC_2.jpg", r"photos\notes.txt"):
            archive.writestr(name, PHOTO)
    store = ImageStore(source)
    assert image_ids(store) == ["ISIC_1", "ISIC_2"]
    assert store.read("ISIC_1") == PHOTO
    assert left_out(source) == ["photos/notes.txt"]
    assert repeated(source) == {"ISIC_2": ["other/ISIC_2.jpg", "photos/ISIC_2.jpg"]}


def test_a_group_of_an_hdf5_file_is_no_image(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "photos.h5", "w") as file:
        file["a"] = np.frombuffer(PHOTO, dtype=np.uint8)
        file["more/b"] = np.frombuffer(PHOTO, dtype=np.uint8)
    store = ImageStore(tmp_path / "photos.h5")
    assert (store.read("a"), refusal(store, "more")) == (PHOTO, "corrupt")
