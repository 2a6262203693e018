"""The first bundle, from a folder in HAM10000's layout to files that serve."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml import bundle, members
from ml.classes import CLASSES
from ml.cli import main
from ml.runtime import Runtime
from ml.synthetic import draw
from tests.ml.conftest import jpeg

LESIONS_OF_A_CLASS = 36


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic data set, as small pictures."""
    folder = tmp_path_factory.mktemp("published")
    rows = []
    for number in range(7 * LESIONS_OF_A_CLASS):
        code = CLASSES[number % 7]
        draw(code, number, (96, 72)).save(folder / f"S_{number}.jpg")
        rows.append({"image_id": f"S_{number}", "lesion_id": f"L_{number}", "dx": code.lower()})
    pd.DataFrame(rows).to_csv(folder / "small_metadata.csv", index=False)
    return folder


def test_one_command_makes_a_bundle_and_again_keeps_the_members(published: Path, tmp_path: Path) -> None:
    backbones = tmp_path / "backbones"
    backbones.mkdir()
    members.build("tiny", (192, 144)).get_layer(index=2).save_weights(backbones / "tiny_imagenet_notop.weights.h5")
    output = tmp_path / "first"
    arguments = [
        "--data", str(published), "--backbones", str(backbones), "--work", str(tmp_path / "work"),
        "--members", "tiny", "--epochs", "2", "--samples", "320",
    ]  # fmt: skip
    assert main(["train", *arguments, "--output", str(output)]) == 0

    made = bundle.load(output)
    of_class = round(LESIONS_OF_A_CLASS * 0.15)
    assert made.name == "first"
    assert made.seen.shape == (7 * (LESIONS_OF_A_CLASS - of_class), 4)
    assert made.manifest["metrics"]["images"] + made.manifest["metrics"]["dropped_seen"] == 7 * of_class
    assert made.manifest["data_hash"] == bundle.sha256(published / "small_metadata.csv")
    assert "non-commercial" in made.manifest["licence"]
    card = (output / "model_card.md").read_text()
    assert "tiny for 2 epochs of 320 images" in card
    assert "missing_age" in card
    assert f"{made.manifest['metrics']['metrics']['malignant_auc']['value']:.3f}" in card

    (prediction,) = (runtime := Runtime(output, tmp_path / "work" / "cache")).predict(
        [runtime.prepare(jpeg(np.asarray(draw("NV", 9999))))]
    )
    assert sum(prediction.probabilities.values()) == pytest.approx(1)

    again = tmp_path / "again"
    assert main(["train", *arguments, "--epochs", "50", "--output", str(again)]) == 0
    assert (again / "tiny.npz").read_bytes() == (output / "tiny.npz").read_bytes()
    assert "tiny for 2 epochs" in (again / "model_card.md").read_text()


def test_a_missing_backbone_ends_with_what_to_look_for(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(published), "--backbones", str(tmp_path), "--work", str(tmp_path / "w")]
    assert main(["train", *arguments, "--output", str(tmp_path / "o"), "--members", "tiny", "--progress", "json"]) == 1
    assert '"file_not_found_error"' in (told := capsys.readouterr().out)
    assert "tiny_imagenet_notop.weights.h5" in told
