"""What `predict` refuses to write to, before a bundle or an image is read."""

import os
import re
import zipfile
from pathlib import Path

import pytest

from ml.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of images, a ZIP file of them beside it, and other names of both."""
    photos = tmp_path / "photos"
    (photos / "visit").mkdir(parents=True)
    for name in ("a.jpg", "visit/b.JPG", "notes.csv"):
        (photos / name).write_bytes(b"content")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", b"content")
    (tmp_path / "link.zip").symlink_to("photos.zip")
    (tmp_path / "linked").symlink_to("photos")
    (tmp_path / "elsewhere.jpg").write_bytes(b"content")
    (photos / "c.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    os.link(photos / "a.jpg", tmp_path / "twin.csv")
    (tmp_path / "sheet.png").mkdir()
    return tmp_path


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--images photos.zip --output photos.zip", "photos.zip is what is to be answered"),
        ("--images photos.zip --output link.zip", "link.zip is what is to be answered"),
        ("--images photos --output photos/a.jpg", "a.jpg is what is to be answered"),
        ("--images linked --output photos/visit/b.JPG", "b.JPG is what is to be answered"),
        ("--images photos --output elsewhere.jpg", "elsewhere.jpg is what is to be answered"),
        ("--images photos --output twin.csv", "twin.csv is what is to be answered"),
        ("--images photos --output photos/new.tiff", "new.tiff would lie among the images"),
        ("--images linked --output out.csv --picture photos/visit/sheet.png", "sheet.png would lie among the images"),
        ("--images photos --output out.csv --picture photos/a.jpg", "a.jpg is what is to be answered"),
        ("--images photos --output out.png --picture out.png", "out.png would replace the answers"),
        ("--images photos --output out.png --picture photos/../out.png", "out.png would replace the answers"),
        ("--images photos --output out.csv --picture out.bmp", "out.bmp cannot be drawn: give it one of"),
        ("--images photos --output out.csv --picture sheet.png", "sheet.png cannot be written: name a file in a"),
        ("--images photos --output out.csv --picture no/such/out.png", "out.png cannot be written: name a file in a"),
        ("--images photos --output .", "cannot be written: name a file in a folder that exists"),
        ("--images photos --output no/such/out.csv", "out.csv cannot be written: name a file in a folder that exists"),
        ("--images photos --output -", "- cannot be written: name a file, or /dev/stdout"),
    ],
)
def test_a_slip_in_the_names_of_files_costs_none_of_them(
    arguments: str, told: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    before = content(folder)
    assert main(["predict", *arguments.split(), "--bundle", "no-bundle"]) == 2
    assert told in re.sub(r"\s+", " ", capsys.readouterr().err)
    assert content(folder) == before


@pytest.mark.parametrize(
    "arguments",
    [
        "--images photos --output photos/answers.csv --picture sheet.jpg",
        "--images photos --output photos/notes.csv",
        "--images photos.zip --output photos/answers.csv --picture photos/sheet.png",
        "--images photos --output /dev/stdout",
    ],
)
def test_other_names_are_free(
    arguments: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command goes on to the bundle, which is not there."""
    monkeypatch.chdir(folder)
    assert main(["predict", *arguments.split(), "--bundle", "no-bundle"]) == 1
    assert "(bundle_error)" in capsys.readouterr().err


def test_a_file_that_may_not_be_written_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told by what the system says of the folder, since these tests may run as one who may write everywhere."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != Path("photos"))
    assert main(["predict", "--images", "photos.zip", "--output", "photos/out.csv", "--bundle", "no-bundle"]) == 2
    assert "out.csv cannot be written: name a file where you may write." in capsys.readouterr().err
