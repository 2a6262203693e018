"""A bundle assessed as a whole: every part is there, and measures the images of the test split alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import ml.data
from ml import bundle, evaluate, metrics
from ml.assess import not_lesions, report, run
from ml.assess.artefacts import ARTEFACTS
from ml.assess.degradations import DEGRADATIONS
from ml.classes import CLASSES
from ml.cli import main
from ml.data import examples, splits
from ml.data.images import ImageStore
from ml.data.table import Dataset
from ml.runtime.ensemble import Answers, Ensemble, heat
from ml.segmentation.focus import heat_inside
from ml.synthetic import draw

LESIONS = 7 * 12


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set with masks."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    rows = []
    for number in range(LESIONS):
        draw(CLASSES[number % 7], number, (96, 72)).save(folder / "images" / f"S_{number}.jpg")
        mask = np.zeros((72, 96), np.uint8)
        cv2.circle(mask, (48, 36), 26, 255, -1)
        cv2.imwrite(str(folder / "masks" / f"S_{number}_segmentation.png"), mask)
        rows.append(
            {"image_id": f"S_{number}", "lesion_id": f"L_{number}", "dx": CLASSES[number % 7].lower(), "age": 40}
        )
    pd.DataFrame(rows).to_csv(folder / "small_metadata.csv", index=False)
    return folder


def divided(folder: Path) -> Dataset:
    dataset = ml.data.read(folder)
    return replace(dataset, table=splits.assign(dataset.table))


def test_every_part_is_measured_on_the_test_split(
    published: Path, tiny_bundle: Path, cache: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    loaded, dataset = bundle.load(tiny_bundle), divided(published)
    test = examples.load(dataset.split("test"), dataset.images, loaded.frame)
    masks = ImageStore(published / "masks")
    assessment, scored = run.assess(loaded, test, dataset.images, cache, told.append, outlines=masks, pictures=2)
    assert assessment.images == round(LESIONS / 7 * 0.15) * 7
    assert {cost.change for cost in assessment.degradations} == set(DEGRADATIONS)
    assert {cost.change for cost in assessment.artefacts} == set(ARTEFACTS)
    assert {rate.kind for rate in assessment.not_lesions} >= {*not_lesions.KINDS, "lesion, blur", "lesion, hair"}
    knowing_nothing = {"another picture's", "an even one"}
    rows = {"tiny"} | {whose + where for whose in {"all members"} | knowing_nothing for where in ("", ", moved")}
    assert set(assessment.heat) == rows
    assert assessment.heat["an even one"].value == pytest.approx(np.pi * 26**2 / (72 * 96), abs=0.02)
    assert told[0] == "answering"
    report.write(assessment, scored, tmp_path / "report")
    assert "jpeg 30" in (tmp_path / "report" / "assessment.md").read_text()


def test_the_images_as_they_are_are_asked_about_once(
    published: Path, tiny_bundle: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(not_lesions, "KINDS", {})
    monkeypatch.setattr(run, "DEGRADATIONS", {})
    monkeypatch.setattr(run, "ARTEFACTS", {})
    loaded, dataset = bundle.load(tiny_bundle), divided(published)
    test = examples.load(dataset.split("test"), dataset.images, loaded.frame)
    answers = evaluate.ready(loaded.members, cache, loaded.frame).in_batches(test.pixels)
    asked: list[bool] = []
    in_batches = Ensemble.in_batches

    def watched(self: Ensemble, frames: np.ndarray) -> Answers:
        asked.append(np.array_equal(frames, test.pixels))
        return in_batches(self, frames)

    monkeypatch.setattr(Ensemble, "in_batches", watched)
    masks = ImageStore(published / "masks")
    assessment, _ = run.assess(loaded, test, dataset.images, cache, outlines=masks)
    assert asked == [True, False]  # as they are, and moved
    drawn = cv2.imread(str(published / "masks" / "S_0_segmentation.png"), cv2.IMREAD_GRAYSCALE)
    mask = np.asarray(drawn, dtype=np.uint8) > 0
    shares = [heat_inside(grid, mask) for grid in heat(answers.maps, answers.logits[:, 0].argmax(axis=1))]
    assert assessment.heat["tiny"].value == pytest.approx(np.mean(shares), abs=5e-3)


def test_sharper_copies_are_asked_about_beside_the_images_that_have_one(
    published: Path, tiny_bundle: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for changes in ("DEGRADATIONS", "ARTEFACTS"):
        monkeypatch.setattr(run, changes, {})
    monkeypatch.setattr(not_lesions, "KINDS", {})
    loaded, dataset = bundle.load(tiny_bundle), divided(published)
    test = examples.load(dataset.split("test"), dataset.images, loaded.frame)
    known = test.rows["image_id"][::2]
    for image_id in known:
        Image.new("RGB", (64, 64), (150, 90, 80)).save(tmp_path / f"{image_id}.jpg")
    assessment, scored = run.assess(loaded, test, dataset.images, cache, details=ImageStore(tmp_path))
    (cost,) = assessment.sharper
    before = metrics.malignant_auc(scored.take(np.arange(0, len(test), 2)), np.ones(len(known)))
    assert cost.after["malignant_auc"] - cost.difference["malignant_auc"].value == pytest.approx(before)
    assert cost.moved.value > 0
    assert not run.assess(loaded, test, dataset.images, cache)[0].sharper


def test_an_assessment_counts_what_is_turned_away_as_missed(
    published: Path, strict: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for changes in ("DEGRADATIONS", "ARTEFACTS"):
        monkeypatch.setattr(run, changes, {})
    monkeypatch.setattr(not_lesions, "KINDS", {})
    loaded, dataset = bundle.load(strict), divided(published)
    test = examples.load(dataset.split("test"), dataset.images, loaded.frame)
    assessment, _ = run.assess(loaded, test, dataset.images, cache)
    assert assessment.lesions_flagged is not None
    told = assessment.lesions_flagged, assessment.metrics["sensitivity"], assessment.metrics["specificity"]
    assert [measured.value for measured in told] == [1, 0, 0]


def test_the_report_says_what_the_table_says_and_leaves_out_what_was_seen(
    published: Path,
    tiny_bundle: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(not_lesions, "KINDS", {"white_noise": not_lesions.KINDS["white_noise"]})
    knowing = Path(shutil.copytree(tiny_bundle, tmp_path / "knowing"))
    dataset = divided(published)
    test = examples.load(dataset.split("test"), dataset.images, (256, 192))
    np.save(knowing / bundle.SEEN, test.fingerprints[:1])
    arguments = ["--bundle", str(knowing), "--data", str(published), "--cache", str(cache)]
    assert main(["evaluate", *arguments, "--json", str(tmp_path / "plain.json")]) == 0
    report = ["--report", str(tmp_path / "report"), "--json", str(tmp_path / "reported.json")]
    assert main(["evaluate", *arguments, *report]) == 0
    told = capsys.readouterr().err.splitlines()
    assert "assessing: white_noise" in told  # where nobody watches a terminal, too
    plain, reported = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("plain", "reported"))
    assert reported == plain
    assert reported["dropped_seen"] >= 1
    assessed = json.loads((tmp_path / "report" / "assessment.json").read_text())
    assert assessed["images"] == reported["images"] == len(test) - reported["dropped_seen"]


@pytest.mark.parametrize("split", ["test", "all"])
def test_the_report_says_what_the_data_leave_untold(
    published: Path, tiny_bundle: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, split: str
) -> None:
    """Where nothing was divided, nothing lies on two sides."""
    for changes in ("DEGRADATIONS", "ARTEFACTS"):
        monkeypatch.setattr(run, changes, {})
    monkeypatch.setattr(not_lesions, "KINDS", {})
    folders = tmp_path / "folders"
    for number in range(LESIONS):
        of_class = folders / CLASSES[number % 7]
        of_class.mkdir(parents=True, exist_ok=True)
        shutil.copy(published / "images" / f"S_{number}.jpg", of_class)
    arguments = ["--bundle", str(tiny_bundle), "--data", str(folders), "--cache", str(cache), "--split", split]
    assert main(["evaluate", *arguments, "--report", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "assessment.md").read_text()
    assert f"Of {LESIONS} images of the data it is not known which show one lesion" in page
    assert f"Of {LESIONS} images of the data it is not known whose they are" in page
    assert page.count("may lie on two") == (2 if split == "test" else 0)


def test_every_image_of_a_foreign_data_set_can_be_measured(
    published: Path, tiny_bundle: Path, cache: Path, tmp_path: Path
) -> None:
    told = {}
    for split in ("test", "all"):
        file = tmp_path / f"{split}.json"
        arguments = ["--bundle", str(tiny_bundle), "--data", str(published), "--split", split, "--json", str(file)]
        assert main(["evaluate", *arguments, "--cache", str(cache)]) == 0
        told[split] = json.loads(file.read_text())["images"]
    assert told == {"test": round(LESIONS / 7 * 0.15) * 7, "all": LESIONS}
