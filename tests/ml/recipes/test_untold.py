"""What data leave untold, or cannot show, is told at once, and in the card."""

import json
import shutil
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import ml.data
from ml.classes import BINARY, CLASSES
from ml.data import splits
from ml.progress import JsonProgress
from ml.recipes import trainer
from ml.recipes.sides import ByImage
from ml.synthetic import draw
from tests.ml.recipes.small import QUICK, run_of

pytestmark = pytest.mark.usefixtures("unpainted")


def test_nobody_says_which_images_show_one_lesion(tmp_path: Path) -> None:
    """Then each counts as a lesion of its own, and only copies of an image are known to have been seen."""
    folders, images = tmp_path / "folders", 0
    for code in CLASSES:
        (folders / code).mkdir(parents=True)
        for number in range(60 if code == "NV" else 40):
            draw(code, images, (96, 72)).save(folders / code / f"S_{images}.jpg")
            images += 1
            if code == "NV" and number < 12:
                shutil.copy(folders / code / f"S_{images - 1}.jpg", folders / code / f"C_{number}.jpg")
    recipe = replace(QUICK, authors_split=ByImage(test=0.2, validation=0.2))
    made = trainer.train(run_of(recipe, folders, tmp_path), JsonProgress())
    leaked = made.manifest["comparison"]["as_authors"]["leaked_images"]
    assert leaked > 0
    card = (made.path / "model_card.md").read_text()
    assert f"for at least {leaked} of the " in card
    assert card.count(f"Of {images + 12} images of the data it is not known which show one lesion") == 2
    assert card.count("images of one lesion may lie on two sides, which flatters, and the intervals") == 2
    nobodys = f"Of {images + 12} images of the data it is not known whose they are: two lesions of one patient may"
    assert nobodys in card
    assessment = (made.path / "figures" / "assessment.md").read_text()
    assert f"Of {images + 12} images of the data it is not known which show one lesion" in assessment
    assert nobodys in assessment


def test_a_sharper_copy_that_cannot_be_read_is_counted(published: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(published, tmp_path / "data")
    table = splits.assign(ml.data.read(published).table)
    square = BytesIO()
    Image.new("RGB", (64, 64)).save(square, "PNG")
    with zipfile.ZipFile(folder / "squares.zip", "w") as copies:
        for number in range(len(table)):
            copies.writestr(f"S_{number}.png", square.getvalue() if number % 3 == 0 else b"no picture")
    recipe = replace(QUICK, sharp_copies=True)
    made = trainer.train(run_of(recipe, folder, tmp_path), JsonProgress())
    train = table.loc[table["split"] == "train", "image_id"].str.removeprefix("S_").astype(int)
    damaged = int((train % 3 != 0).sum())
    card = (made.path / "model_card.md").read_text()
    assert f"refused_sharper_copy {damaged}" in card
    assert f"{len(train) - damaged} images for train" in card


def test_what_is_wrong_with_data_is_told_before_the_training(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the labels as they are written: one that is misspelt leaves out a whole class."""
    folder = shutil.copytree(published, tmp_path / "data")
    table = pd.read_csv(folder / "small_metadata.csv", keep_default_na=False)
    melanomas = table.index[table["dx"] == "mel"]
    table.loc[melanomas[:2], "dx"] = "mell"
    table.to_csv(folder / "small_metadata.csv", index=False)
    gone, damaged = table["image_id"][melanomas[[2, 4]]]
    (folder / f"{gone}.jpg").unlink()
    (folder / f"{damaged}.jpg").write_bytes(b"no picture")
    recipe = replace(QUICK, taxonomy=BINARY)
    made = trainer.train(run_of(recipe, folder, tmp_path), JsonProgress())

    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    before = events[: [event.get("name") for event in events].index("the split by lesion")]
    problems, labels, unreadable = (event for event in before if event["event"] == "warning")
    assert problems["problems"] == made.manifest["problems"]
    assert {**problems["problems"], "missing_file": 1, "unknown_class": 2} == problems["problems"]
    assert labels["unknown_classes"] == made.manifest["unknown_classes"] == {"mell": 2}
    assert "which are left out: 2 mell. The classes are MEL, NV, BCC," in labels["message"]
    assert unreadable["refused"] == made.manifest["refused"] == {damaged: "unknown_type"}
    assert f"cannot be read: 1 ({damaged} (unknown_type))" in unreadable["message"]
    card = (made.path / "model_card.md").read_text()
    assert "No class has the labels 2 mell." in card
    assert "refused 1." in card
