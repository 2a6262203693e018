"""The picture of answers, and the words on it."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ml.cli import main
from ml.predict import sheet
from ml.synthetic import draw
from tests.ml.conftest import jpeg
from tests.ml.predict.conftest import picture, rows

GREY = np.full((8, 8, 3), 128, dtype=np.uint8)


def test_of_what_is_not_recognised_it_is_not_said_that_it_shows_no_lesion(
    strict: Path, cache: Path, tmp_path: Path
) -> None:
    """A carcinoma under glare is not recognised either."""
    source, drawn = tmp_path / "photos", tmp_path / "answers.png"
    source.mkdir()
    (source / "a.jpg").write_bytes(jpeg(np.asarray(draw("MEL", 0, (240, 180)))))
    paths = ["--images", str(source), "--output", str(tmp_path / "answers.csv"), "--picture", str(drawn)]
    assert main(["predict", *paths, "--bundle", str(strict), "--cache", str(cache)]) == 0
    wanted = np.asarray(sheet.draw([sheet.Tile(GREY, "a", "not recognised", alarm=False)]))
    with Image.open(drawn) as opened:
        assert (np.asarray(opened)[200:] == wanted[200:]).all()


def test_a_break_of_a_line_in_a_name_hides_nothing_of_the_answer() -> None:
    answers = [np.asarray(sheet.draw([sheet.Tile(GREY, name, "", alarm=False)])) for name in ("a\nb", "a\rb", "a�b")]
    assert (answers[0] == answers[2]).all()
    assert (answers[1] == answers[2]).all()


def test_the_picture_writes_names_with_accents() -> None:
    drawn = [sheet.draw([sheet.Tile(GREY, name, "", alarm=False)]).tobytes() for name in ("café", "cafè", "cafж")]
    assert len(set(drawn)) == 3


def test_a_long_name_stays_under_its_own_picture_and_keeps_both_ends() -> None:
    """As phones name their photos."""

    def drawn(name: str) -> np.ndarray:
        return np.asarray(sheet.draw([sheet.Tile(GREY, each, "", alarm=False) for each in (name, "next")]))

    short, first, second, third = map(
        drawn, ("a", "Screenshot" * 9 + "1", "Screenshot" * 9 + "2", "S" + "crenshot" * 9 + "1")
    )
    right = sheet.GAP + sheet.TILE[0]
    for long in (first, second, third):
        assert (long[:, right:] == short[:, right:]).all()
    assert (first != second).any()
    assert (first != third).any()


def test_a_picture_shows_each_image_and_what_could_not_be_read(predict: Any, photos: Path, tmp_path: Path) -> None:
    """Four tiles in a row; the third, of the broken file, is grey, and the others are photos with words under them."""
    (photos / "visit 1" / "d.jpg").write_bytes(picture(3))
    assert len(rows(predict(photos, "csv", more=("--picture", str(tmp_path / "answers.png"))))) == 5
    with Image.open(tmp_path / "answers.png") as opened:
        sheet = np.asarray(opened.convert("RGB"))
    assert sheet.shape == (2 * 238 + 8, 4 * 264 + 8, 3)
    assert (sheet[8:200, 8 + 2 * 264 : 8 + 2 * 264 + 256] == 200).all()
    for top, left in ((8, 8), (8, 8 + 264), (8, 8 + 3 * 264), (8 + 238, 8)):
        assert sheet[top : top + 192, left : left + 256].std() > 5
        assert sheet[top + 192 : top + 238, left : left + 256].min() < 100


def test_a_picture_shows_nothing_that_was_not_photographed(predict: Any, tmp_path: Path) -> None:
    """The black around a round field stays, which the model sees completed by skin."""
    pixels = np.array(draw("NV", 0, (240, 180)))
    y, x = np.mgrid[:180, :240]
    pixels[np.hypot(x - 120, y - 90) > 110] = 6
    source = tmp_path / "photos"
    source.mkdir()
    (source / "round.jpg").write_bytes(jpeg(pixels))
    predict(source, "csv", more=("--picture", str(tmp_path / "answers.png")))
    with Image.open(tmp_path / "answers.png") as opened:
        tile = np.asarray(opened.convert("RGB"))[8:200, 8:264]
    assert tile[[0, 0, -1, -1], [0, -1, 0, -1]].max() < 40
    assert tile[96, 128].max() > 60
