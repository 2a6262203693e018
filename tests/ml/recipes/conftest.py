"""What small trainings share: a synthetic data set, made once for a test session, and figures that cost little."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

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


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are composed and stay blank: painting takes a quarter of so small a training. Others look at them."""

    def blank(figure: Figure, file: Any, **_: object) -> None:
        Image.new("RGB", (1, 1)).save(file, "PNG")

    monkeypatch.setattr(Figure, "savefig", blank)
