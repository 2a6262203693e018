"""Retraining as the service calls it: a program with arguments, JSON lines, files and an exit code."""

import json
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ml import bundle, recipes, training
from ml.calibration import Calibration
from ml.classes import BINARY, HAM10000_DX
from ml.cli import main
from ml.data.examples import load
from ml.data.snapshot import COLUMNS, read
from ml.imaging.fingerprint import matches
from ml.model_card import LABELLED_HERE
from ml.recipes.recipe import Part, Recipe
from ml.stack import average
from ml.synthetic import synthesize
from ml.training import Settings
from tests.ml.tiny_bundle import THRESHOLDS, everything, unbiased

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of twenty synthetic images beside it. One training image is a test image as well, and another is saved
    again as a validation image of another patient.
    """
    folder = tmp_path_factory.mktemp("snapshot")
    frame = pd.read_csv(synthesize(20, folder))
    frame["dx"] = frame["dx"].map(HAM10000_DX)
    frame["patient_id"], frame["sha256"], frame["drawn"] = "P" + frame["lesion_id"], "0" * 64, "no"
    frame["split"] = ["train"] * 12 + ["validation"] * 3 + ["test"] * 5
    (folder / f"{frame['image_id'].iloc[19]}.jpg").write_bytes(
        (folder / f"{frame['image_id'].iloc[0]}.jpg").read_bytes()
    )
    with Image.open(folder / f"{frame['image_id'].iloc[1]}.jpg") as image:
        image.resize((400, 300)).save(folder / f"{frame['image_id'].iloc[14]}.jpg", quality=70)
    path = folder / "snapshot.csv"
    frame[list(COLUMNS)].to_csv(path, index=False)
    return path


def retrain(
    active: Path, snapshot: Path, output: Path, cache: Path, *, alone: bool = False, **options: str
) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the events; `alone`, of a process of its own, which takes seconds to import TensorFlow."""
    given = {
        "bundle": str(active), "snapshot": str(snapshot), "images": str(snapshot.parent), "output": str(output),
        "cache": str(cache), "epochs": "1", "members": "tiny", "seed": "0", "progress": "json", **options,
    }  # fmt: skip
    arguments = [part for name, value in given.items() for part in (f"--{name}", value)]
    if alone:
        command = [sys.executable, "-m", "ml", "retrain", *arguments]
        finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        code, said = finished.returncode, finished.stdout
    else:
        with redirect_stdout(StringIO()) as written:
            code = main(["retrain", *arguments])
        said = written.getvalue()
    return code, [json.loads(line) for line in said.splitlines()]


def test_from_labels_to_a_candidate_with_its_gate(
    tiny_bundle: Path, snapshot: Path, cache: Path, tmp_path: Path
) -> None:
    code, events = retrain(tiny_bundle, snapshot, tmp_path, cache, alone=True)
    assert code == 0, events
    events = [event for event in events if event["event"] != "steps"]  # on a busy machine it tells how far it is
    assert [event["event"] for event in events] == ["stage", "stage", "epoch", "stage", "done"]
    epoch = events[2]
    assert (epoch["member"], epoch["epoch"], epoch["of"]) == ("tiny", 1, 1)
    assert epoch["loss"] > 0
    assert epoch["validation_loss"] > 0

    active, candidate = bundle.load(tiny_bundle), bundle.load(tmp_path / "bundle")
    assert candidate.hash != active.hash
    assert candidate.hash == events[-1]["candidate"]
    assert candidate.manifest["parent"] == active.hash
    assert candidate.manifest["data_hash"] == bundle.sha256(snapshot)
    assert (
        candidate.calibration.thresholds == active.calibration.thresholds
    )  # three validation images move no threshold
    np.testing.assert_array_equal(candidate.calibration.stack.coefficients, active.calibration.stack.coefficients)
    assert candidate.seen.shape == (14, 4)  # the validation image that is a training image is left out
    assert candidate.trained.shape == (12, 4)
    assert matches(candidate.trained, candidate.seen).all()

    gate = json.loads((tmp_path / "gate.json").read_text())
    assert gate["verdict"] == events[-1]["verdict"] == "inconclusive"
    assert gate["active"] == active.hash
    assert gate["candidate"] == candidate.hash
    assert gate["dropped_seen"] == 1  # the copy of a training image
    assert gate["dropped_validation"] == 1
    assert gate["images"] == 4
    assert {"metric", "active", "candidate", "difference", "low", "high", "verdict"} == set(gate["rows"][0])
    total, classes = gate["reason"].split(" Whether it still finds these is not measured, ")
    assert "needs 73 malignant and 35 benign ones that are new to the model and that annotators were given by" in total
    assert classes.startswith("for fewer than 10 lesions: melanoma (")
    card = (tmp_path / "bundle" / "model_card.md").read_text()
    assert "with 2 for validation; 1 more were left out" in card
    assert "for 1 epoch on " in card
    assert "unchanged: they were fitted to the members as these were before, so its probabilities" in card
    assert "Right is what annotators named from the photo alone" in card
    assert "Images on which they still disagree are not in it" in card
    assert "share no lesion with anything it was fitted to" in card
    assert "chosen where a model doubted" in card
    limits, licence = card.split("\n## Limits\n")[1].split("\n## What it goes on from\n")[0].split("\n## Licence\n")
    assert "then from images that were labelled where it was retrained" in limits
    assert "Phone photos and dark skin" not in limits  # what it is measured on may be of any camera and skin
    assert licence.strip() == candidate.manifest["licence"] == LABELLED_HERE

    # What the first retraining only validated with, the second validates with again. It has what chance chose alone.
    # Of one training image neither lesion nor patient is named, and of one test image the patient alone.
    drawn = tmp_path / "drawn.csv"
    labels = pd.read_csv(snapshot, dtype=str, keep_default_na=False)
    lesions, patients = list(labels["lesion_id"]), list(labels["patient_id"])
    lesions[2], patients[2], lesions[16] = labels["image_id"][2], "", patients[16]
    labels.assign(drawn="yes", lesion_id=lesions, patient_id=patients).to_csv(drawn, index=False)
    code, events = retrain(tmp_path / "bundle", drawn, tmp_path / "second", cache, images=str(snapshot.parent))
    assert code == 0, events
    second = bundle.load(tmp_path / "second" / "bundle")
    assert json.loads((tmp_path / "second" / "gate.json").read_text())["dropped_validation"] == 1
    np.testing.assert_array_equal(second.trained, candidate.trained)
    assert "The lesion of" not in card
    told = "Measured on test images that chance chose."
    assert (told in second.manifest["origin"], told in candidate.manifest["origin"]) == (True, False)

    told_of_second = (second.path / "model_card.md").read_text()
    assert "The lesion of 1 images is not named: those of one patient count as one." in told_of_second
    assert "share no lesion that is named with anything it was fitted to" in told_of_second
    assert "Of 1 images that it learnt from neither patient nor lesion is named" in told_of_second

    # What the first says of itself stands under its name alone, below all that is said of the second.
    assert [(one["name"], one["bundle"]) for one in second.manifest["ancestors"]] == [
        (candidate.name, candidate.hash),
        (active.name, active.hash),
    ]
    own, inherited = (second.path / "model_card.md").read_text().split("\n## What it goes on from\n")
    for card, sentences in ((own, second.manifest["origin"]), (inherited, candidate.manifest["origin"])):
        assert [line[2:] for line in card.splitlines() if line[2:] in sentences] == sentences
    assert "chosen where a model doubted" not in own
    assert second.manifest["licence"] == LABELLED_HERE  # once is enough


def test_a_member_learns_on_in_the_manner_of_its_recipe(
    tiny_bundle: Path, snapshot: Path, cache: Path, tmp_path: Path, *, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the card says what lay beside the bundle and is not made again, such as a network in 8 bits."""
    focal = Settings(epochs=20, loss="focal", sampling="balanced", label_smoothing=0.0, mixup=0.2)
    recipe = Recipe("light", "for this test", (Part("tiny", focal),))
    monkeypatch.setattr(recipes, "NAMES", ("light",))
    monkeypatch.setattr(recipes, "named", lambda name: recipe)
    active = Path(shutil.copytree(tiny_bundle, tmp_path / "active"))
    manifest = json.loads((active / bundle.MANIFEST).read_text())
    (active / bundle.MANIFEST).write_text(json.dumps({**manifest, "recipe": "light"}))
    (active / "tiny.int8.tflite").touch()
    used: list[Settings] = []
    fit = training.fit

    def noted(model: Any, train: Any, validation: Any, settings: Settings, progress: Any) -> None:
        used.append(settings)
        fit(model, train, validation, settings, progress)

    monkeypatch.setattr(training, "fit", noted)
    paths = ("--bundle", active, "--snapshot", snapshot, "--images", snapshot.parent, "--cache", cache)
    options = ("--output", tmp_path / "next", "--members", "tiny", "--epochs", "1")
    assert main(["retrain", *map(str, (*paths, *options))]) == 0
    assert used == [replace(focal, epochs=1, learning_rate=1e-4, freeze_batch_norm=True, mixup=0.0)]
    candidate = bundle.load(tmp_path / "next" / "bundle")
    assert candidate.manifest["recipe"] == "light"
    card = (candidate.path / "model_card.md").read_text()
    assert "tiny: focal, balanced sampling, strong augmentation, learning rate 0.0001" in card
    assert "Not made again of tiny, and not in this bundle: tiny.int8.tflite." in card


def test_the_gate_and_the_card_see_what_a_candidate_turns_away(
    strict: Path, snapshot: Path, cache: Path, tmp_path: Path
) -> None:
    """A bundle to which everything is no lesion is never right, nor is what goes on from it."""
    code, events = retrain(strict, snapshot, tmp_path, cache)
    assert code == 0, events
    gate = json.loads((tmp_path / "gate.json").read_text())
    found = {row["metric"]: (row["active"], row["candidate"]) for row in gate["rows"]}
    assert (found["sensitivity"], found["specificity"]) == ((0, 0), (0, 0))
    told = bundle.load(tmp_path / "bundle").manifest["metrics"]["metrics"]
    assert (told["sensitivity"]["value"], told["specificity"]["value"]) == (0, 0)
    assert "given by chance. It has 0 malignant and 0 benign; or" in gate["reason"]


def test_a_test_split_that_the_model_has_seen_decides_nothing(
    tiny_bundle: Path, snapshot: Path, cache: Path, tmp_path: Path
) -> None:
    dataset = read(snapshot, snapshot.parent)
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "seen"))
    np.save(folder / bundle.SEEN, load(dataset.table, dataset.images, bundle.load(folder).frame).fingerprints)
    code, events = retrain(folder, snapshot, tmp_path / "output", cache)
    assert code == 0, events
    gate = json.loads((tmp_path / "output" / "gate.json").read_text())
    assert (gate["verdict"], gate["images"], gate["dropped_seen"]) == ("inconclusive", 0, 5)
    assert {row["active"] for row in gate["rows"]} == {None}
    assert gate["dropped_validation"] == 3  # which of them it was trained on, it does not say
    assert bundle.load(tmp_path / "output" / "bundle").manifest["metrics"]["images"] == 0


def test_images_that_cannot_be_read_are_named(tiny_bundle: Path, snapshot: Path, cache: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(snapshot.parent, tmp_path / "damaged")) / snapshot.name
    train, test = (pd.read_csv(damaged)["image_id"].iloc[row] for row in (2, 16))
    (damaged.parent / f"{train}.jpg").write_bytes(b"")
    (damaged.parent / f"{test}.jpg").write_bytes(b"GIF89a")
    code, events = retrain(tiny_bundle, damaged, tmp_path, cache)
    assert code == 0, events
    gate = json.loads((tmp_path / "gate.json").read_text())
    assert events[-1]["refused"] == gate["refused"] == {train: "empty", test: "unsupported_type"}
    assert gate["images"] == 3
    assert "2 images of the snapshot could not be read." in (tmp_path / "bundle" / "model_card.md").read_text()


def test_the_bundle_to_go_on_from_is_not_written_over(
    tiny_bundle: Path, snapshot: Path, cache: Path, tmp_path: Path
) -> None:
    """As where a second retraining goes on from what the first wrote, with the same --output."""
    active = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    code, events = retrain(active, snapshot, tmp_path, cache)
    assert (code, events[-1]["code"]) == (1, "output_holds_the_bundle")
    assert bundle.load(active).hash == bundle.load(tiny_bundle).hash


def test_a_bundle_of_other_classes_than_the_labels_is_refused_before_anything_is_read(
    tiny_bundle: Path, cache: Path, tmp_path: Path
) -> None:
    active = bundle.load(tiny_bundle)
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "binary"))
    binary = bundle.save(
        folder,
        name="binary",
        members=active.members,
        calibration=Calibration(average(1, 2), unbiased(2), THRESHOLDS, [0.9] * 2, 0.2),
        novelty=everything(16),
        seen=active.seen,
        facts={"data_hash": "0" * 64, "code_version": "test"},
        metrics={},
        card="# binary\n",
        taxonomy=BINARY,
    )
    earlier = tmp_path / "bundle" / "model_card.md"
    earlier.parent.mkdir()
    earlier.touch()
    code, events = retrain(binary.path, Path("/nowhere/snapshot.csv"), tmp_path, cache)
    assert (code, events[-1]["code"]) == (1, "other_classes")
    assert "binary tells 2 apart" in events[-1]["message"]
    assert earlier.exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"members": "mobilenet"}, "unknown_member"),
        ({"bundle": "/nowhere"}, "bundle_error"),
        ({"images": "/nowhere"}, "no_image_source"),
    ],
)
def test_an_error_is_an_event_and_an_exit_code(
    tiny_bundle: Path, snapshot: Path, cache: Path, tmp_path: Path, *, options: dict[str, str], code: str
) -> None:
    status, events = retrain(tiny_bundle, snapshot, tmp_path, cache, alone=True, **options)
    assert status == 1
    assert events[-1]["event"] == "error"
    assert events[-1]["code"] == code
    assert events[-1]["message"]
