from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.classes import CLASSES
from ml.imaging.quality import check
from ml.synthetic import draw, synthesize


@pytest.mark.parametrize("dx", CLASSES)
def test_a_seed_is_a_picture(dx: str) -> None:
    first, again, other = draw(dx, 3), draw(dx, 3), draw(dx, 4)
    assert first.size == (600, 450)
    np.testing.assert_array_equal(np.asarray(first), np.asarray(again))
    assert np.abs(np.asarray(first).astype(int) - np.asarray(other)).mean() > 1


def test_they_pass_for_photos_of_a_lesion() -> None:
    flagged = [seed for seed in range(21) if check(draw(CLASSES[seed % 7], seed)).flags]
    assert len(flagged) <= 2, flagged


def test_the_table_is_in_the_published_layout_and_says_synthetic(tmp_path: Path) -> None:
    table = pd.read_csv(synthesize(9, tmp_path, seed=5))
    assert list(table.columns) == ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset"]
    assert len(table) == 9
    assert set(table["dx"]) == {code.lower() for code in CLASSES}
    assert (table["dataset"] == "synthetic").all()
    assert (table["dx_type"] == "synthetic").all()
    assert table["image_id"].str.startswith("SYNTHETIC_").all()
    assert all((tmp_path / f"{image_id}.jpg").exists() for image_id in table["image_id"])
