"""Made once for a test session: a small synthetic data set."""

from pathlib import Path

import pandas as pd
import pytest

from ml.classes import CLASSES
from ml.synthetic import draw
from tests.ml.recipes.small import LESIONS_OF_A_CLASS


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small pictures in HAM10000's layout: two of each lesion."""
    folder = tmp_path_factory.mktemp("published")
    rows = []
    for number in range(14 * LESIONS_OF_A_CLASS):
        lesion, code = number // 2, CLASSES[number // 2 % 7]
        draw(code, number, (96, 72)).save(folder / f"S_{number}.jpg")
        rows.append({"image_id": f"S_{number}", "lesion_id": f"L_{lesion}", "dx": code.lower(), "age": ""})
    pd.DataFrame(rows).to_csv(folder / "small_metadata.csv", index=False)
    return folder
