"""The recipe with a tiny network, from a folder in HAM10000's layout to a bundle with an 8-bit file beside it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.classes import CLASSES
from ml.networks import members
from ml.networks.members import Architecture
from ml.progress import JsonProgress
from ml.quantisation import tflite
from ml.recipes import trainer
from ml.recipes.eight_bits import TRAINED
from ml.recipes.given import Run
from ml.recipes.mobilenetv2_edge import RECIPE
from ml.recipes.recipe import Part
from ml.runtime import Runtime
from ml.segmentation import eight_bits
from ml.segmentation.segmenter import shipped
from ml.synthetic import draw
from tests.ml.conftest import jpeg
from tests.ml.inverted import backbone
from tests.ml.recipes.small import Stopped

SIZE = (32, 24)


@pytest.mark.usefixtures("unpainted")
def test_the_recipe_writes_a_file_beside_its_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run again, it trains nothing again."""
    monkeypatch.setitem(members.BACKBONES, "inverted", backbone)
    monkeypatch.setitem(members.ARCHITECTURES, "inverted", Architecture("inverted"))
    published = tmp_path / "published"
    published.mkdir()
    rows = []
    for number in range(7 * 40):
        code = CLASSES[number % 7]
        draw(code, number, (96, 72)).save(published / f"S_{number}.jpg")
        rows.append({"image_id": f"S_{number}", "lesion_id": f"L_{number}", "dx": code.lower()})
    pd.DataFrame(rows).to_csv(published / "small_metadata.csv", index=False)
    assert RECIPE.mask
    assert RECIPE.members[0].settings.loss == "focal"
    assert RECIPE.members[0].settings.sampling == "balanced"
    settings = replace(RECIPE.members[0].settings, epochs=1, samples=64)
    small = replace(RECIPE, members=(Part("inverted", settings, size=SIZE, imagenet=False),), authors_split=None)
    run = Run(small, published, tmp_path / "work", tmp_path / "made", draws=20)
    made = trainer.train(run, JsonProgress())

    file = made.path / "inverted.int8.tflite"
    told = json.loads((made.path / "eight_bits.json").read_text())
    assert told["bytes"] == file.stat().st_size < 100_000
    for kind in ("trained", "rounded", "with_segmenter"):
        for side in told["most_probable_class_named"][kind].values():
            assert {row["metric"] for row in side} == {"balanced_accuracy", "malignant_auc"}
            ends = [(row[each]["low"], row[each]["high"]) for row in side for each in ("float", "difference")]
            assert all(low is high is None or low <= high for low, high in ends)  # none where no draw differs
    assert {row["metric"] for row in told["calibrated_test"]} >= {"sensitivity", "specificity", "ece"}
    agrees = told["agreement"]
    assert agrees["images"] == 196  # all of the train side
    assert 0 <= agrees["mean"] <= agrees["largest"] <= 1.01 * agrees["level"]
    assert tflite.answers(file, np.zeros((1, 24, 32, 3), dtype=np.uint8)).shape == (1, 7)
    segmenter = told["segmenter"]
    assert segmenter["file"] == eight_bits.FILE
    assert (made.path / eight_bits.FILE).read_bytes() == (shipped() / eight_bits.FILE).read_bytes()
    assert 0 < segmenter["milliseconds"]["1"] < 1000
    # Its outlines are so near to those of the weights that little follows from them.
    for alone, both in zip(
        *(told["most_probable_class_named"][kind]["test"] for kind in ("trained", "with_segmenter")), strict=True
    ):
        assert both["int8"]["value"] == pytest.approx(alone["int8"]["value"], abs=0.1)
    card = (made.path / "model_card.md").read_text()
    assert "[inverted.int8.tflite](inverted.int8.tflite) is inverted in 8 bits" in card
    assert "1 epochs of 64 images, learning rate 7e-05" in card
    assert f"by {agrees['mean']:.2g} in the mean and {agrees['largest']:.2g} at most" in card

    assert f"both files together have {(told['bytes'] + segmenter['bytes']) / 1e6:.2f} MB" in card

    runtime = Runtime(made.path, tmp_path / "cache")
    (answer,) = runtime.predict([runtime.prepare(jpeg(np.asarray(draw("NV", 9999))))])
    assert sum(answer.probabilities.values()) == pytest.approx(1)

    capsys.readouterr()
    with pytest.raises(KeyboardInterrupt):
        trainer.train(replace(run, output=tmp_path / "again"), Stopped("measuring 8 bits"))
    assert '"event": "epoch"' not in capsys.readouterr().out
    assert [kept.read_bytes() for kept in run.work.rglob(TRAINED)] == [file.read_bytes()]
