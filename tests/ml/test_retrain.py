"""Retraining as the service calls it: a program with arguments, JSON lines, files and an exit code."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml import bundle
from ml.classes import CLASSES, HAM10000_DX
from ml.data.examples import Examples, load
from ml.data.snapshot import COLUMNS, read
from ml.imaging.fingerprint import matches
from ml.retrain import supports_stack
from ml.synthetic import synthesize

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of twenty synthetic images beside it, and one in the test split that copies a training image."""
    folder = tmp_path_factory.mktemp("snapshot")
    frame = pd.read_csv(synthesize(20, folder))
    frame["dx"] = frame["dx"].map(HAM10000_DX)
    frame["patient_id"], frame["sha256"], frame["drawn"] = frame["lesion_id"], "0" * 64, "no"
    frame["split"] = ["train"] * 12 + ["validation"] * 3 + ["test"] * 5
    (folder / f"{frame['image_id'].iloc[19]}.jpg").write_bytes(
        (folder / f"{frame['image_id'].iloc[0]}.jpg").read_bytes()
    )
    path = folder / "snapshot.csv"
    frame[list(COLUMNS)].to_csv(path, index=False)
    return path


def retrain(
    active: Path, snapshot: Path, output: Path, cache: Path, **options: str
) -> tuple[int, list[dict[str, Any]]]:
    given = {
        "bundle": str(active), "snapshot": str(snapshot), "images": str(snapshot.parent), "output": str(output),
        "cache": str(cache), "epochs": "1", "members": "tiny", "seed": "0", "progress": "json", **options,
    }  # fmt: skip
    arguments = [part for name, value in given.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", "ml", "retrain", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return finished.returncode, [json.loads(line) for line in finished.stdout.splitlines()]


def test_from_labels_to_a_candidate_with_its_gate(
    tiny_bundle: Path, snapshot: Path, cache: Path, tmp_path: Path
) -> None:
    code, events = retrain(tiny_bundle, snapshot, tmp_path, cache)
    assert code == 0, events
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
    assert candidate.seen.shape == (15, 4)
    assert matches(candidate.seen, candidate.seen).all()

    gate = json.loads((tmp_path / "gate.json").read_text())
    assert gate["verdict"] == events[-1]["verdict"] == "inconclusive"
    assert gate["active"] == active.hash
    assert gate["candidate"] == candidate.hash
    assert gate["dropped_seen"] == 1  # the copy of a training image
    assert gate["images"] == 4
    assert {"metric", "active", "candidate", "difference", "low", "high", "verdict"} == set(gate["rows"][0])
    assert "unchanged" in (tmp_path / "bundle" / "model_card.md").read_text()


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
    assert bundle.load(tmp_path / "output" / "bundle").manifest["metrics"]["images"] == 0


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
    status, events = retrain(tiny_bundle, snapshot, tmp_path, cache, **options)
    assert status == 1
    assert events[-1]["event"] == "error"
    assert events[-1]["code"] == code
    assert events[-1]["message"]


def test_the_stack_is_refitted_only_on_enough_lesions_of_every_class() -> None:
    def validation(of_each: int, images: int = 1) -> Examples:
        labels = np.repeat(np.arange(7), of_each * images)
        lesions = np.repeat(np.arange(7 * of_each), images).astype(str)
        return Examples(
            np.zeros((len(labels), 1, 1, 3), np.uint8), labels, lesions, np.zeros((len(labels), 4), np.uint64)
        )

    assert len(CLASSES) == 7
    assert supports_stack(validation(30))
    assert not supports_stack(validation(9))
    assert not supports_stack(validation(20))  # 140 lesions in all
    assert not supports_stack(validation(9, images=10))  # many images of few lesions
