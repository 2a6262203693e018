"""The words on the picture of answers."""

from pathlib import Path

import numpy as np
from PIL import Image

from ml.cli import main
from ml.predict import sheet
from ml.synthetic import draw
from tests.ml.conftest import jpeg

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
