import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ml import bundle, evaluate, model_card
from ml.classes import CLASSES
from ml.cli import main
from ml.data import examples, ham10000
from ml.data.examples import Examples
from ml.imaging.preprocess import FRAME
from ml.metrics.measured import Measured, words
from ml.synthetic import draw, synthesize


@pytest.fixture(scope="module")
def lesions(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    folder = tmp_path_factory.mktemp("lesions")
    synthesize(14, folder)
    dataset = ham10000.read(folder)
    return examples.load(dataset.table, dataset.images, FRAME)


def test_seen_images_are_dropped_and_counted(tiny_bundle: Path, cache: Path, lesions: Examples) -> None:
    loaded = bundle.load(tiny_bundle)
    assert evaluate.evaluate(loaded, lesions, cache).dropped_seen == 0
    kept, dropped = evaluate.unseen(lesions, lesions.fingerprints[:5])
    assert (len(kept), dropped) == (9, 5)
    np.testing.assert_array_equal(kept.labels, lesions.labels[5:])
    assert evaluate.unseen(lesions, lesions.fingerprints)[1] == 14


def test_a_model_is_not_measured_on_what_it_has_seen(
    tiny_bundle: Path, cache: Path, lesions: Examples, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "seen"))
    np.save(folder / bundle.SEEN, lesions.fingerprints)
    with pytest.raises(evaluate.SeenError, match="all 14"):
        evaluate.evaluate(bundle.load(folder), lesions, cache)


def test_an_evaluation_is_plain_numbers(tiny_bundle: Path, cache: Path, lesions: Examples) -> None:
    told = evaluate.evaluate(bundle.load(tiny_bundle), lesions, cache).as_dict()
    assert (told["images"], told["lesions"], told["malignant_lesions"]) == (14, 14, 6)
    assert told["images_of_class"] == dict.fromkeys(CLASSES, 2)
    assert set(told["metrics"]) == {
        "balanced_accuracy", "malignant_auc", "sensitivity", "specificity", "melanoma_auc", "ece"
    }  # fmt: skip
    assert told["metrics"]["malignant_auc"].keys() == {"value", "low", "high"}


def test_what_a_bundle_turns_away_as_no_lesion_is_not_found(strict: Path, cache: Path, lesions: Examples) -> None:
    """Whatever its networks say of it."""
    told = evaluate.evaluate(bundle.load(strict), lesions, cache).metrics
    assert (told["sensitivity"].value, told["specificity"].value) == (0, 0)


def test_classes_that_no_image_shows_are_told(
    tiny_bundle: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for code, count in (("MEL", 2), ("NV", 3)):
        (tmp_path / "photos" / code).mkdir(parents=True)
        for number in range(count):
            draw(code, number, (96, 72)).save(tmp_path / "photos" / code / f"{code}_{number}.jpg")
    told = tmp_path / "told.json"
    paths = ("--bundle", str(tiny_bundle), "--data", str(tmp_path / "photos"), "--cache", str(cache))
    assert main(["evaluate", *paths, "--split", "all", "--json", str(told)]) == 0
    of_class = json.loads(told.read_text())["images_of_class"]
    assert of_class == {**dict.fromkeys(CLASSES, 0), "MEL": 2, "NV": 3}
    shown = capsys.readouterr()
    assert "No image shows BCC, AKIEC, BKL, DF, VASC: every" in " ".join(shown.out.split())
    alone = "Of 5 images of the data it is not known which show one lesion, so each counts as a lesion of its own, and"
    assert f"Warning: {alone} the intervals are too narrow.\n" in shown.err


def test_data_too_few_to_be_divided_are_told_how_to_be_measured(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "MEL").mkdir(parents=True)
    draw("MEL", 0, (96, 72)).save(tmp_path / "photos" / "MEL" / "one.jpg")
    assert main(["evaluate", "--bundle", str(tiny_bundle), "--data", str(tmp_path / "photos")]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "too few lesions to have a test split: measure on every image with --split all. (no_test_images)" in told


def test_a_card_says_what_an_assessment_says() -> None:
    """Rounded to four digits on the way to three, 0.670545 would be 0.670 there."""
    measured = Measured(0.670545, 0.620545, 0.720545)
    told = evaluate.Evaluation(14, 14, 6, {}, 0, {"balanced_accuracy": measured}).as_dict()
    limits = {"urgent_referral": 0.6, "routine_referral": 0.3}
    card = model_card.write(name="one", members=[], thresholds=limits, origin=[], evaluation=told, licence="")
    assert words(vars(measured)) == "0.671 (0.621 to 0.721)"
    assert "| Balanced accuracy | 0.671 | 0.621 to 0.721 |" in card
