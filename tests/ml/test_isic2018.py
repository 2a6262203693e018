"""A submission to the ISIC 2018 challenge, scored by the challenge's own scorer.

The scorer needs a pandas older than ours. It is installed once into a folder of its own, which only its own process
sees, with the versions of `scorer/requirements.txt`.
"""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.classes import CLASSES
from ml.cli import main
from ml.synthetic import draw
from tests.ml.conftest import jpeg

REQUIREMENTS = Path(__file__).parent / "scorer" / "requirements.txt"
INSTALLED = Path(__file__).parents[2] / ".local" / "isic-scorer"
IMAGES = 14


@pytest.fixture(scope="module")
def scorer() -> Path:
    """The folder that the scorer is installed in."""
    target = INSTALLED / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    if target.exists():
        return target
    INSTALLED.mkdir(parents=True, exist_ok=True)
    arriving = tempfile.mkdtemp(dir=INSTALLED)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", arriving]
    finished = subprocess.run(
        [*command, "--requirement", str(REQUIREMENTS)], capture_output=True, text=True, check=False
    )
    if finished.returncode:
        shutil.rmtree(arriving)
        pytest.skip(f"NOT CHECKED: the challenge's scorer cannot be installed here: {finished.stderr[-500:]}")
    try:
        os.rename(arriving, target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(arriving)  # another of the suite's processes was first
    return target


def score(scorer: Path, truth: Path, submission: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isic_challenge_scoring", "classification", str(truth), str(submission)]
    environment = {**os.environ, "PYTHONPATH": str(scorer)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=scorer)


def write_truth(path: Path, labels: dict[str, str]) -> Path:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", *CLASSES])
        for image, label in labels.items():
            table.writerow([image, *(float(code == label) for code in CLASSES)])
    return path


def test_the_challenges_scorer_takes_a_submission_as_it_is(
    scorer: Path, tiny_bundle: Path, cache: Path, runtime: Any, tmp_path: Path
) -> None:
    """With a refused image in it, and with the balanced accuracy of the diagnoses that the format json tells."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(IMAGES):
        picture = np.asarray(draw(CLASSES[number % 7], number, (240, 180)))
        (photos / f"ISIC_{number:07d}.jpg").write_bytes(jpeg(picture))
    (photos / "ISIC_0000099.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    written = {}
    for kind in ("isic2018", "json"):
        written[kind] = tmp_path / f"answers.{kind}"
        arguments = ["--images", str(photos), "--output", str(written[kind]), "--format", kind]
        assert main(["predict", *arguments, "--bundle", str(tiny_bundle), "--cache", str(cache)]) == 0

    lines = written["isic2018"].read_text().splitlines()
    assert lines[0] == "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
    assert lines[-1] == "ISIC_0000099" + ",0.142857143" * 7

    answers = json.loads(written["json"].read_text())["images"]
    named = {answer["image"]: answer.get("diagnosis") for answer in answers}
    # Each class once, since the scorer needs all of them, then what the model names; the refused image is the first's.
    labels = dict(zip(named, [*CLASSES, *list(named.values())[7:IMAGES], CLASSES[0]], strict=True))
    truth = write_truth(tmp_path / "truth.csv", labels)
    finished = score(scorer, truth, written["isic2018"])
    assert finished.returncode == 0, finished.stderr
    hits = [[named[image] == code for image, label in labels.items() if label == code] for code in CLASSES]
    balanced_accuracy = float(np.mean([np.mean(hit) for hit in hits]))
    assert balanced_accuracy > 0
    assert float(finished.stdout.split()[-1]) == pytest.approx(balanced_accuracy, abs=1e-6)

    without = tmp_path / "without.csv"
    without.write_text("\n".join(lines[:-1]) + "\n")
    assert "Missing images in CSV: ['ISIC_0000099']" in score(scorer, truth, without).stderr
