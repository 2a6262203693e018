import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml import bundle
from ml.cli import main
from ml.data import examples, ham10000, splits
from ml.imaging.preprocess import FRAME
from ml.metrics import ALL_METRICS
from ml.metrics.measured import LABELS
from ml.metrics.paired import SIDES
from ml.synthetic import METADATA, synthesize
from tests.ml.conftest import SMALL
from tests.ml.tiny_bundle import make_tiny_bundle

IMAGES = 70
TEST = 14  # two lesions of each class
WITHIN = {"sensitivity_MEL", "sensitivity_BCC", "sensitivity_AKIEC"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    synthesize(IMAGES, folder, size=SMALL)
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("other") / "other", seed=1, name="other")


@pytest.fixture
def told(cache: Path, data: Path, tmp_path: Path) -> Any:
    """Compares two bundles through the command line and gives what was written."""

    def run(first: Path, second: Path) -> dict[str, Any]:
        target = tmp_path / "difference.json"
        arguments = ["--data", str(data), "--cache", str(cache), "--json", str(target)]
        assert main(["compare", str(first), str(second), *arguments]) == 0
        return dict(json.loads(target.read_text()))

    return run


def having_seen(source: Path, target: Path, prints: np.ndarray) -> Path:
    shutil.copytree(source, target)
    np.save(target / bundle.SEEN, prints)
    return target


def fingerprints(data: Path) -> np.ndarray:
    dataset = ham10000.read(data)
    return examples.load(dataset.table, dataset.images, FRAME).fingerprints


def test_evaluate_prints_a_table_and_writes_numbers(
    tiny_bundle: Path, cache: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "metrics.json"
    arguments = ["--bundle", str(tiny_bundle), "--cache", str(cache), "--data", str(data), "--json", str(target)]
    assert main(["evaluate", *arguments]) == 0
    told, shown = json.loads(target.read_text()), capsys.readouterr().out
    assert (told["release"], told["images"], told["dropped_seen"]) == ("tiny", TEST, 0)
    assert f"{told['metrics']['malignant_auc']['value']:.3f}" in shown
    assert "95 % interval" in shown


def test_compare_shows_every_metric_of_both_with_the_interval_of_the_difference(
    told: Any, tiny_bundle: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, shown = told(tiny_bundle, other), capsys.readouterr().out
    assert answer["first"] == {"release": "tiny", "bundle": bundle.load(tiny_bundle).hash}
    assert answer["second"] == {"release": "other", "bundle": bundle.load(other).hash}
    assert (answer["images"], answer["dropped_seen"]) == (TEST, 0)
    rows = {row["metric"]: row for row in answer["rows"]}
    assert set(rows) == {*ALL_METRICS, *WITHIN}
    row = rows["malignant_auc"]
    assert row["difference"] == pytest.approx(row["candidate"] - row["active"], abs=2e-4)
    assert row["low"] <= row["difference"] <= row["high"]
    assert f"{row['difference']:+.3f}" in shown
    assert [name for name in rows if name not in {*LABELS, *WITHIN}] == []
    assert "Sensitivity for melanoma" in shown
    assert "inconclusive" in shown  # fourteen lesions decide nothing


def test_a_bundle_does_not_differ_from_itself(told: Any, tiny_bundle: Path) -> None:
    for row in told(tiny_bundle, tiny_bundle)["rows"]:
        assert row["difference"] == 0
        if row["metric"] in {*SIDES, *WITHIN}:  # so few lesions would not show a difference that there is
            assert row["low"] == -row["high"] < -0.3
        else:
            assert row["low"] is row["high"] is None


def test_what_a_bundle_turns_away_counts_against_it(told: Any, tiny_bundle: Path, strict: Path) -> None:
    rows = {row["metric"]: row for row in told(tiny_bundle, strict)["rows"]}
    for name in ("sensitivity", "specificity"):
        assert (rows[name]["candidate"], rows[name]["active"]) == (0, -rows[name]["difference"])


def test_what_either_has_seen_is_left_out_and_counted(
    told: Any, tiny_bundle: Path, other: Path, data: Path, tmp_path: Path
) -> None:
    prints = fingerprints(data)
    first = having_seen(tiny_bundle, tmp_path / "first", prints[::2])
    second = having_seen(other, tmp_path / "second", prints[1::4])
    alone, both = (told(first, against) for against in (other, second))
    assert alone["images"] + alone["dropped_seen"] == both["images"] + both["dropped_seen"] == TEST
    assert 0 < both["images"] < alone["images"] < TEST


@pytest.fixture
def damaged(data: Path, tmp_path: Path) -> Any:
    """The data with some of the test images emptied, and the ids of these."""

    def run(count: int | None) -> tuple[Path, list[str]]:
        folder = Path(shutil.copytree(data, tmp_path / "damaged"))
        table = splits.assign(ham10000.read(folder).table)
        ids = table["image_id"][table["split"] == "test"].tolist()[:count]
        for image_id in ids:
            (folder / f"{image_id}.jpg").write_bytes(b"")
        return folder, ids

    return run


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_images_that_cannot_be_read_are_named(
    command: str, tiny_bundle: Path, cache: Path, damaged: Any, tmp_path: Path, *, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ids = damaged(1)
    bundles = ["--bundle", str(tiny_bundle)] if command == "evaluate" else [str(tiny_bundle), str(tiny_bundle)]
    target = tmp_path / "told.json"
    arguments = [*bundles, "--cache", str(cache), "--data", str(folder), "--json", str(target)]
    assert main([command, *arguments]) == 0
    told = json.loads(target.read_text())
    assert (told["images"], told["refused"]) == (TEST - 1, {ids[0]: "empty"})
    assert f"cannot be read: 1 ({ids[0]} (empty))\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_a_label_that_is_no_class_is_named(
    command: str, tiny_bundle: Path, cache: Path, data: Path, tmp_path: Path, *, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(data, tmp_path / "misspelt"))
    frame = pd.read_csv(folder / METADATA)
    frame.assign(dx=frame["dx"].replace({"nv": "naevus"})).to_csv(folder / METADATA, index=False)
    bundles = ["--bundle", str(tiny_bundle)] if command == "evaluate" else [str(tiny_bundle), str(tiny_bundle)]
    target = tmp_path / "told.json"
    arguments = [*bundles, "--cache", str(cache), "--data", str(folder), "--json", str(target)]
    assert main([command, *arguments]) == 0
    told = json.loads(target.read_text())
    assert (told["problems"], told["unknown_classes"]) == ({"unknown_class": 10}, {"naevus": 10})
    assert "which are left out: 10 naevus. The classes are MEL, NV, BCC," in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_data_without_a_readable_image_are_not_called_seen(
    command: str, tiny_bundle: Path, cache: Path, damaged: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = damaged(None)
    bundles = ["--bundle", str(tiny_bundle)] if command == "evaluate" else [str(tiny_bundle), str(tiny_bundle)]
    assert main([command, *bundles, "--cache", str(cache), "--data", str(folder)]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "no test image to measure on: none could be read" in told
    assert "(no_test_images)" in told
    assert "seen" not in told


def test_models_that_have_seen_everything_are_not_compared(
    tiny_bundle: Path, cache: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = having_seen(tiny_bundle, tmp_path / "everything", fingerprints(data))
    assert main(["compare", str(tiny_bundle), str(everything), "--data", str(data), "--cache", str(cache)]) == 1
    assert "seen all 14 test images" in " ".join(capsys.readouterr().err.split())
