"""Files of predictions, made through the command line."""

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image

from ml import bundle
from ml.classes import BINARY, CLASSES, MALIGNANT
from ml.imaging.preprocess import VERSION
from ml.imaging.refusal import SENTENCES
from ml.runtime import Runtime
from ml.runtime.ensemble import native_precision
from tests.ml.conftest import jpeg
from tests.ml.predict.conftest import picture, rows


def binary(tiny: Path, target: Path) -> Path:
    """The tiny bundle, with the head of its network cut down to two classes."""
    shutil.copytree(tiny, target)
    with np.load(target / "tiny.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    for name in sorted(arrays)[-2:]:
        arrays[name] = arrays[name][..., :2]
    np.savez(target / "tiny.npz", **arrays)
    manifest = json.loads((target / bundle.MANIFEST).read_text())
    manifest["classes"] = list(BINARY.codes)
    manifest["stack"] = {"coefficients": [[1, 0], [0, 1]], "intercept": [0, 0]}
    manifest["decision"]["bias"] = [0, 0]
    manifest["conformal"] = [0.9, 0.9]
    (target / bundle.MANIFEST).write_text(json.dumps(manifest))
    return target


def test_csv_has_a_row_for_each_image_and_an_error_for_a_broken_one(predict: Any, photos: Path) -> None:
    a, b, broken, c = rows(predict(photos, "csv"))
    assert [row["image"] for row in (a, b, broken, c)] == ["a", "b", "broken", "c"]
    for row in (a, b, c):
        assert sum(float(row[code]) for code in CLASSES) == pytest.approx(1, abs=1e-5)
        assert float(row["malignant"]) == pytest.approx(sum(float(row[code]) for code in MALIGNANT), abs=1e-5)
        assert row["diagnosis"] in CLASSES
        assert set(row["plausible"].split()) <= set(CLASSES)
        assert (row["recognised"], row["error"]) == ("yes", "")
        assert row["advice"]
    assert {name for name, value in broken.items() if value} == {"image", "error"}
    assert broken["error"] in SENTENCES


def test_json_says_everything_and_where_it_came_from(predict: Any, photos: Path, runtime: Runtime) -> None:
    told = json.loads(predict(photos, "json").read_text())
    assert told["release"] == runtime.bundle.name
    assert told["bundle"] == runtime.bundle.hash
    assert told["preprocessing"] == VERSION
    images = {image.pop("image"): image for image in told["images"]}
    assert list(images) == ["a", "b", "broken", "c"]
    code = images["broken"]["error"]["code"]
    assert images["broken"] == {"error": {"code": code, "sentence": SENTENCES[code]}}
    (wanted,) = runtime.predict([runtime.prepare((photos / "a.jpg").read_bytes())])
    assert images["a"]["decision"] == pytest.approx(wanted.decision, abs=0.02)
    assert images["a"]["probabilities"] == pytest.approx(wanted.probabilities, abs=0.02)
    assert images["a"]["diagnosis"] == max(wanted.decision, key=lambda code: wanted.decision[code])
    np.testing.assert_allclose(images["a"]["heatmap"], wanted.heatmap, atol=0.02)


def test_what_is_no_image_is_named_and_nothing_else_is_an_error(
    predict: Any, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.bmp", "b.gif", ".hidden"):
        (photos / name).write_bytes(b"")
    predict(photos, "csv")
    told = capsys.readouterr().err
    assert "Files left out for the endings of their names: 3 (a.bmp, b.gif, notes.csv)\n" in told
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        for number in range(7):
            archive.writestr(f"visit/{number}.gif", b"")
    assert not predict(tmp_path / "none.zip", "json", code=2).exists()
    told = " ".join(capsys.readouterr().err.split())
    assert "names: 7 (visit/0.gif, " in told
    assert "visit/4.gif, …) No image was found." in told


def test_a_photo_that_the_service_would_refuse_has_its_codes_and_neither_diagnosis_nor_advice(
    predict: Any, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = np.asarray(Image.open(photos / "a.jpg").convert("L").convert("RGB"))
    (photos / "grey.jpg").write_bytes(jpeg(grey))
    found = {row["image"]: row for row in rows(predict(photos, "csv", more=("--picture", str(tmp_path / "a.png"))))}
    told = capsys.readouterr().err
    assert "5 images, 1 refused, 1 that the service would refuse for their quality, by " in told
    assert f" in {native_precision()} on the CPU: {tmp_path / 'answers.csv'}\n" in told
    row = found["grey"]
    assert (row["quality"], row["diagnosis"], row["advice"], row["error"]) == ("not_skin", "", "", "")
    assert 0 <= float(row["malignant"]) <= 1
    assert (found["a"]["quality"], found["broken"]["quality"]) == ("", "")
    (told_grey,) = (
        each for each in json.loads(predict(photos, "json").read_text())["images"] if each["image"] == "grey"
    )
    assert (told_grey["quality"], told_grey["diagnosis"], told_grey["advice"]) == (["not_skin"], None, None)
    submitted = {row["image"]: row for row in rows(predict(photos, "isic2018"))}
    assert list(submitted["grey"]) == ["image", *CLASSES]
    assert len(set(submitted["grey"].values())) > 2  # answered, not undecided


def test_an_id_that_would_be_a_formula_is_quoted_for_spreadsheets_alone(predict: Any, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for name in ("=1+1", "+1", "-1", "@a", "a=1"):
        (source / f"{name}.jpg").write_bytes(picture(0))
    (source / "=broken.jpg").write_bytes(b"nothing")
    ids = ["+1", "-1", "=1+1", "=broken", "@a", "a=1"]
    assert [row["image"] for row in rows(predict(source, "csv"))] == [*(f"'{name}" for name in ids[:5]), "a=1"]
    assert [row["image"] for row in rows(predict(source, "isic2018"))] == ids
    assert [each["image"] for each in json.loads(predict(source, "json").read_text())["images"]] == ids


def test_a_name_that_is_no_utf_8_ends_nothing(predict: Any, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    (source / os.fsdecode(b"caf\xe9.jpg")).write_bytes(picture(0))
    for kind in ("csv", "isic2018"):
        assert [row["image"] for row in rows(predict(source, kind))] == ["caf\\udce9"]
    # A surrogate of its own is no text to a strict reader of JSON.
    assert json.loads(predict(source, "json").read_text())["images"][0]["image"] == "caf\\udce9"


def test_whatever_stands_in_a_name_is_one_cell_and_can_be_drawn(predict: Any, tmp_path: Path) -> None:
    source, drawn = tmp_path / "photos", tmp_path / "answers.png"
    source.mkdir()
    ids = ["a\tb", "a\nb", "a\rb", "a\r\nb", 'a",b', "a\u2028b", "a\u202eb"]
    for name in ids:
        (source / f"{name}.jpg").write_bytes(picture(0))
    for kind in ("csv", "isic2018"):
        written = predict(source, kind, more=("--picture", str(drawn)))
        assert sorted(row["image"] for row in rows(written)) == sorted(ids)
        assert sorted(pandas.read_csv(written)["image"]) == sorted(ids)
        assert written.read_bytes().count(b"\r") == 2  # those of the names: a row ends in a line feed
        with Image.open(drawn) as opened:
            opened.load()


def test_files_that_share_an_id_are_named(predict: Any, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "visit 1" / "a.png").write_bytes(picture(5))
    assert [row["image"] for row in rows(predict(photos, "csv"))] == ["a", "b", "broken", "c"]
    told = capsys.readouterr().err
    assert "a: 2 files have this id; a.jpg is answered, visit 1/a.png is not." in told
    assert "b: 2 files" not in told


def test_files_behind_a_link_are_answered_and_named(
    predict: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos-2").mkdir()
    (tmp_path / "photos-2" / "a.jpg").write_bytes(picture(0))
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "day").symlink_to(tmp_path / "photos-2")
    (tmp_path / "source" / "day-2").mkdir()
    (tmp_path / "source" / "day-2" / "a.png").write_bytes(picture(1))
    assert [row["image"] for row in rows(predict(tmp_path / "source", "csv"))] == ["a"]
    assert "a: 2 files have this id; day/a.jpg is answered, day-2/a.png is not." in capsys.readouterr().err


def test_a_damaged_entry_of_a_zip_is_a_row_and_hidden_twins_are_none(predict: Any, tmp_path: Path) -> None:
    source = tmp_path / "photos.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("good.jpg", picture(0))
        archive.writestr("damaged.jpg", picture(1))
        archive.writestr("__MACOSX/._good.jpg", b"a resource fork")
        place = archive.getinfo("damaged.jpg").header_offset + 200
    content = bytearray(source.read_bytes())
    content[place] ^= 0xFF
    source.write_bytes(content)
    damaged, good = rows(predict(source, "csv"))
    assert (damaged["image"], damaged["error"]) == ("damaged", "corrupt")
    assert (good["image"], good["error"]) == ("good", "")


def test_a_bundle_of_other_classes_makes_no_submission(
    predict: Any, photos: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = binary(tiny_bundle, tmp_path / "binary")
    output = predict(photos, "isic2018", other, code=1)
    assert "BENIGN, MALIGNANT" in " ".join(capsys.readouterr().err.split())
    assert not output.exists()
    assert [path.name for path in tmp_path.glob(".*")] == []
    assert set(rows(predict(photos, "csv", other))[0]) >= {"BENIGN", "MALIGNANT", "diagnosis"}
