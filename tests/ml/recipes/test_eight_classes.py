"""A recipe on the one published layout with eight classes, from its table to a bundle that serves."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.classes import EIGHT
from ml.data.challenges import CLASSES_2019
from ml.progress import JsonProgress
from ml.recipes import trainer
from ml.runtime import Runtime
from ml.synthetic import draw
from tests.ml.conftest import jpeg
from tests.ml.recipes.small import LESIONS_OF_A_CLASS, QUICK, run_of


@pytest.mark.usefixtures("unpainted")
def test_isic_2019_becomes_a_bundle_of_eight_classes(tmp_path: Path) -> None:
    published = tmp_path / "published"
    (published / "ISIC_2019_Training_Input").mkdir(parents=True)
    truth = []
    for number in range(8 * LESIONS_OF_A_CLASS):
        image, code = f"ISIC_{number}", EIGHT.codes[number % 8]
        drawn = draw("BCC" if code == "SCC" else code, number, (96, 72))
        drawn.save(published / "ISIC_2019_Training_Input" / f"{image}.jpg")
        marked = "AK" if code == "AKIEC" else code
        truth.append({"image": image, **{one: float(one == marked) for one in CLASSES_2019}})
    truth.append({"image": "ISIC_other", **{one: float(one == "UNK") for one in CLASSES_2019}})
    table = pd.DataFrame(truth)
    table.to_csv(published / "ISIC_2019_Training_GroundTruth.csv", index=False)
    metadata = table[["image"]].assign(
        age_approx=50.0, anatom_site_general="back", sex="male", lesion_id="L_" + table["image"]
    )
    metadata.to_csv(published / "ISIC_2019_Training_Metadata.csv", index=False)
    draw("NV", 0, (96, 72)).save(published / "ISIC_2019_Training_Input" / "ISIC_other.jpg")

    made = trainer.train(run_of(QUICK, published, tmp_path), JsonProgress())
    assert made.taxonomy == EIGHT
    card = (made.path / "model_card.md").read_text()
    assert "ISIC 2019, split by lesion" in card
    assert "Malignant: MEL, BCC, AKIEC, SCC." in card
    assert "unknown_class 1" in card
    (prediction,) = (runtime := Runtime(made.path, tmp_path / "cache")).predict(
        [runtime.prepare(jpeg(np.asarray(draw("MEL", 9999))))]
    )
    assert set(prediction.probabilities) == set(EIGHT.codes)
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
