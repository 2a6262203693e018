import numpy as np
import pandas as pd
import pytest

from ml import metrics
from ml.assess import subgroups
from ml.assess.subgroups import Subgroup
from ml.metrics import Scored
from tests.ml.assess.answers import answers


@pytest.fixture(scope="module")
def case() -> tuple[Scored, pd.DataFrame]:
    scored = answers(3, 400)
    rng = np.random.default_rng(0)
    sex = np.array(["male"] * 200 + ["female"] * 150 + [""] * 50)
    age = np.repeat([29.0, 30, 49, 50, 69, 70, np.nan, 0], 50)
    frame = pd.DataFrame({"sex": sex, "age": age, "site": rng.choice(["back", "face"], 400), "dx_type": "histo"})
    return scored, frame


def found(case: tuple[Scored, pd.DataFrame]) -> dict[tuple[str, str], Subgroup]:
    return {(row.attribute, row.value): row for row in subgroups.rows(*case, draws=30)}


def test_every_group_is_measured_alone(case: tuple[Scored, pd.DataFrame]) -> None:
    scored, _ = case
    men = found(case)["sex", "male"]
    alone = scored.take(np.arange(200))
    assert (men.images, men.lesions) == (200, 100)
    assert men.malignant_lesions == len(set(alone.lesions[alone.is_malignant]))
    expected = metrics.measure(alone, draws=30)
    assert men.metrics == {name: expected[name] for name in subgroups.NEEDS}


def test_ages_are_banded_and_what_is_missing_is_a_group(case: tuple[Scored, pd.DataFrame]) -> None:
    rows = found(case)
    ages = {value: row.images for (attribute, value), row in rows.items() if attribute == "age"}
    assert list(ages.items()) == [("<30", 100), ("30-49", 100), ("50-69", 100), ("70+", 50), ("unknown", 50)]
    assert [value for attribute, value in rows if attribute == "sex"] == ["male", "female", "unknown"]


def test_too_few_lesions_on_a_side_determine_nothing() -> None:
    labels = np.repeat([1, 0], [40, 18])  # 40 naevi of 40 lesions, 18 images of 9 melanomas
    lesions = np.concatenate([np.arange(40), 100 + np.arange(18) // 2])
    scored = Scored(np.full((58, 7), 1 / 7), labels, lesions, 0.4)
    frame = pd.DataFrame({"sex": ["male"] * 58, "age": 40.0, "site": "back", "dx_type": "histo"})
    (men,) = (row for row in subgroups.rows(scored, frame, draws=10) if row.attribute == "sex")
    assert men.malignant_lesions == 9
    assert {name for name, measured in men.metrics.items() if not np.isnan(measured.value)} == {"specificity"}


def test_a_table_of_other_images_is_refused(case: tuple[Scored, pd.DataFrame]) -> None:
    with pytest.raises(ValueError, match="399 rows"):
        subgroups.rows(case[0], case[1].iloc[1:])
