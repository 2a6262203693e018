"""What a trained bundle turns away as no lesion counts against it in its own card."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml.assess import novelty
from ml.progress import JsonProgress
from ml.recipes import trainer
from tests.ml.recipes.small import QUICK, run_of


@pytest.mark.usefixtures("unpainted")
def test_a_card_says_nothing_is_found_where_all_is_turned_away(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = novelty.fit

    def strict(*given: Any) -> novelty.Novelty:
        return replace(fit(*given), threshold=0.0)

    monkeypatch.setattr(novelty, "fit", strict)
    made = trainer.train(run_of(QUICK, published, tmp_path), JsonProgress())
    measured = made.manifest["metrics"]["metrics"]
    assert (measured["sensitivity"]["value"], measured["specificity"]["value"]) == (0, 0)
    assert measured["malignant_auc"]["value"] > 0
