import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml import metrics
from ml.assess import conformal, report
from ml.assess.report import Assessment
from ml.classes import BINARY, EIGHT, SEVEN, Taxonomy
from ml.metrics import Scored
from tests.ml.assess.answers import answers


def assessed(scored: Scored) -> Assessment:
    count = len(scored.labels)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"sex": "male", "age": rng.uniform(20, 90, count), "site": "back", "dx_type": "histo"})
    worse = replace(scored, probabilities=rng.dirichlet(np.ones(scored.probabilities.shape[1]), count))
    calibration = answers(9, 300, taxonomy=scored.taxonomy)
    return report.assess(
        scored,
        "20261121-tiny",
        table=frame,
        quantiles=conformal.fit(calibration.probabilities, calibration.labels),
        degraded={"jpeg_30": worse},
        artefacts={"ink": scored},
        sharper=(scored.take(np.arange(200)), scored.take(np.arange(200))),
        flags={"text": np.ones(10, dtype=bool), "bare_skin": np.arange(10) < 3},
        lesions_flagged=np.zeros(count, dtype=bool),
        heat={"mobilenet": np.r_[np.nan, np.full(count - 1, 0.7)]},
        draws=20,
    )


@pytest.mark.parametrize("taxonomy", [SEVEN, EIGHT, BINARY])
def test_everything_reaches_the_folder(tmp_path: Path, taxonomy: Taxonomy) -> None:
    scored = answers(1, taxonomy=taxonomy)
    assessment = assessed(scored)
    report.write(assessment, scored, tmp_path / "assessment", {"mobilenet": [{"loss": 2.0}, {"loss": 1.0}]})
    page = (tmp_path / "assessment" / "assessment.md").read_text()
    assert json.loads((tmp_path / "assessment" / "assessment.json").read_text()) == assessment.as_dict()
    pictures = sorted(path.name for path in (tmp_path / "assessment").glob("*.png"))
    assert pictures == sorted(re.findall(r"\]\((.+\.png)\)", page))
    assert pictures == ["confusion.png", "coverage.png", "curves.png", "reliability.png", "subgroups.png",
                        "training_mobilenet.png"]  # fmt: skip
    area = metrics.malignant_auc(scored, np.ones(300))
    assert f"| AUC, malignant ({', '.join(taxonomy.malignant)}) against benign | {area:.3f} (" in page
    assert "| text | 10 | 1.000 (0.722 to 1.000) |" in page
    assert "| mobilenet | 0.700 (0.700 to 0.700) |" in page
    lost = assessment.degradations[0].difference["malignant_auc"]
    assert f"| jpeg 30 | {area + lost.value:.3f} | {lost.value:+.3f} ({lost.low:+.3f} to {lost.high:+.3f}) |" in page
    assert "| ink | " in page
    assert f"| sharper middle | {metrics.malignant_auc(scored.take(np.arange(200)), np.ones(200)):.3f} | +0.000" in page
    assert ("| AUC, melanoma against all others | not determined |" in page) == (taxonomy is BINARY)


def test_every_table_has_as_many_cells_in_each_row(tmp_path: Path) -> None:
    scored = answers(1)
    report.write(assessed(scored), scored, tmp_path)
    widths: list[int] = []
    for line in (tmp_path / "assessment.md").read_text().splitlines():
        if not line.startswith("|"):
            widths = []
            continue
        widths.append(line.count("|"))
        assert widths[0] == widths[-1], line


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    scored = answers(1)
    report.write(report.assess(scored, "tiny", draws=5), scored, tmp_path)
    page = (tmp_path / "assessment.md").read_text()
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["Metrics", "Classes", "Confusion"]
    assert not (tmp_path / "subgroups.png").exists()


def test_the_numbers_are_plain_and_the_quantiles_exact() -> None:
    scored = answers(1)
    assessment = assessed(scored)
    numbers = json.loads(json.dumps(assessment.as_dict(), allow_nan=False))
    assert numbers["quantiles"] == assessment.quantiles
    assert numbers["classes"][0]["images"] == (scored.labels == 0).sum()
    assert np.sum(numbers["confusion"]) == 300
    assert numbers["subgroups"][0] == {
        "attribute": "sex",
        "value": "male",
        "images": 300,
        "lesions": 150,
        "malignant_lesions": assessment.malignant_lesions,
        "metrics": numbers["subgroups"][0]["metrics"],
    }
    benign = scored.take(~scored.is_malignant)
    assert report.assess(benign, "tiny", draws=5).as_dict()["metrics"]["malignant_auc"]["value"] is None
