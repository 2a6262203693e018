"""What the tests of predictions share: photos, and the command."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.classes import CLASSES
from ml.cli import main
from ml.synthetic import draw
from tests.ml.conftest import jpeg


def picture(seed: int = 0) -> bytes:
    return jpeg(np.asarray(draw(CLASSES[seed % 7], seed, (240, 180))))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures in nested folders, one of them broken, with a table that is no picture."""
    folder = tmp_path / "photos"
    (folder / "visit 1" / "left arm").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(picture(0))
    (folder / "visit 1" / "b.JPG").write_bytes(picture(1))
    (folder / "visit 1" / "left arm" / "c.jpeg").write_bytes(picture(2))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    (folder / "notes.csv").write_text("image\n")
    return folder


@pytest.fixture
def predict(tiny_bundle: Path, cache: Path, runtime: object, tmp_path: Path) -> Any:
    """Runs the command and gives the file written."""

    def run(images: Path, kind: str, bundle: Path = tiny_bundle, code: int = 0, more: tuple[str, ...] = ()) -> Path:
        output = tmp_path / f"answers.{kind}"
        arguments = ["--images", str(images), "--output", str(output), "--bundle", str(bundle), "--cache", str(cache)]
        assert main(["predict", *arguments, "--format", kind, *more]) == code
        return output

    return run


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))
