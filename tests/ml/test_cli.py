import csv
from pathlib import Path

import pytest

from ml.cli import main
from ml.synthetic import synthesize


def test_predict_gives_a_row_for_each_image_and_an_error_for_a_broken_one(
    tiny_bundle: Path, cache: Path, runtime: object, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    synthesize(3, images)
    (images / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    output = tmp_path / "answers.csv"
    arguments = ["--bundle", str(tiny_bundle), "--cache", str(cache), "--images", str(images), "--output", str(output)]
    assert main(["predict", *arguments]) == 0
    rows = list(csv.DictReader(output.open()))
    assert [row["image"] for row in rows] == sorted(file.stem for file in images.glob("*.jpg"))
    good, broken = rows[:3], rows[3]
    assert all(sum(float(row[code]) for code in list(row)[1:8]) == pytest.approx(1, abs=1e-4) for row in good)
    assert all(row["advice"] and not row["error"] for row in good)
    assert broken["error"]
    assert not broken["MEL"]


def test_synthesize_writes_pictures(tmp_path: Path) -> None:
    assert main(["synthesize", "--count", "2", "--output", str(tmp_path / "drawn")]) == 0
    assert len(list((tmp_path / "drawn").glob("*.jpg"))) == 2


def test_warm_says_when_there_is_nothing_to_do(
    tiny_bundle: Path, cache: Path, runtime: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["warm", "--bundle", str(tiny_bundle), "--cache", str(cache)]) == 0
    assert "nothing, the cache was warm" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "retrain", "evaluate", "predict", "synthesize", "warm"])
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert "--" in capsys.readouterr().out
