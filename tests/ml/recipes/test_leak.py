"""What a card says of images that were seen, and by whom."""

from dataclasses import replace
from pathlib import Path

import pytest

import ml.data
from ml.data import examples
from ml.imaging.fingerprint import matches
from ml.imaging.preprocess import FRAME
from ml.progress import JsonProgress
from ml.recipes import given, sides, trainer
from ml.recipes.sides import ByImage
from tests.ml.recipes.small import QUICK, run_of


@pytest.mark.usefixtures("unpainted")
def test_what_only_the_segmenter_has_seen_is_told_apart(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It blanks skin, and names no class: that is another leak than a lesion of the model's own train side."""
    dataset = ml.data.read(published)
    shown = examples.load(dataset.table, dataset.images, FRAME)
    outlined = shown.fingerprints[sides.by_lesion(dataset.table).to_numpy() != "test"]
    monkeypatch.setattr(given, "_segmenter", lambda: ("", outlined))  # which blanks nothing
    shares = ByImage(test=0.2, validation=0.2)
    recipe = replace(QUICK, authors_split=shares, mask=True)
    made = trainer.train(run_of(recipe, published, tmp_path), JsonProgress())

    divided = sides.divide(shown, sides.by_image(dataset.table.set_index("image_id"), shares))
    leaked = divided.leaked | matches(divided.test.fingerprints, divided.fingerprints)
    seen = matches(divided.test.fingerprints, outlined)
    told = made.manifest["comparison"]["as_authors"]
    assert (told["leaked_images"], told["outlined_images"]) == (leaked.sum(), seen.sum())
    assert 0 < leaked.sum() < (leaked | seen).sum()
    card = (made.path / "model_card.md").read_text()
    assert f"for {leaked.sum()} of the {len(leaked)} test images ({leaked.mean():.0%})" in card
    assert f"The network that blanks the skin has seen {seen.sum()} of these test images ({seen.mean():.0%})" in card
    assert matches(outlined, made.seen).all()
