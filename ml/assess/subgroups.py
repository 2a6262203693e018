"""The same metrics for women and men, for each age, site and way of diagnosis, where there are lesions enough.

A difference between two groups need not be the model's: they also differ in which lesions they have. Source: Mitchell
et al., Model Cards for Model Reporting, FAT* 2019, arXiv:1810.03993 (disaggregated evaluation).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from ml.metrics import DRAWS, METRICS, Scored, measure
from ml.metrics.measured import Measured

MIN_LESIONS: Final = 10
"""On each side that a metric looks at; with fewer it is not determined."""
NEEDS: Final = {
    "malignant_auc": ("malignant", "benign"),
    "sensitivity": ("malignant",),
    "specificity": ("benign",),
    "melanoma_auc": ("melanoma", "no melanoma"),
}
"""The metrics told for each group, and the sides that they look at."""
AGES: Final = ("<30", "30-49", "50-69", "70+")
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Subgroup:
    """The images with `value` in `attribute`: sex, age, site or dx_type. A metric that is not determined is NaN."""

    attribute: str
    value: str
    images: int
    lesions: int
    malignant_lesions: int
    metrics: dict[str, Measured]


def rows(scored: Scored, frame: pd.DataFrame, draws: int = DRAWS) -> list[Subgroup]:
    """Every group of each attribute, from answers and the table's rows of the same images in the same order, with the
    columns `age` (years), `sex`, `site` and `dx_type` of `ml.data.table`.

    Ages ascend, the rest go from the most images to the fewest, and `unknown` comes last. Raises ValueError where the
    numbers of rows differ.
    """
    if len(frame) != len(scored.labels):
        raise ValueError(f"{len(frame)} rows of the table do not describe {len(scored.labels)} answers.")
    found = []
    for attribute in ("sex", "age", "site", "dx_type"):
        values = age_bands(frame["age"]) if attribute == "age" else _named(frame[attribute])
        for value in _ordered(values, attribute):
            found.append(_subgroup(attribute, value, scored.take(values == value), draws))
    return found


def age_bands(age: pd.Series) -> np.ndarray:
    """The band of AGES that each age in years lies in, or `unknown`, str (n,)."""
    bands = pd.cut(age.astype(float), [-np.inf, 30, 50, 70, np.inf], right=False, labels=list(AGES))
    return bands.astype(object).fillna(UNKNOWN).to_numpy(dtype=str)


def _named(column: pd.Series) -> np.ndarray:
    return column.astype(object).fillna("").replace("", UNKNOWN).to_numpy(dtype=str)


def _ordered(values: np.ndarray, attribute: str) -> list[str]:
    names, counts = np.unique(values, return_counts=True)
    place = dict(zip(names.tolist(), (-counts).tolist(), strict=True))
    if attribute == "age":
        place.update({band: AGES.index(band) for band in AGES if band in place})
    return sorted(place, key=lambda name: (name == UNKNOWN, place[name], name))


def _subgroup(attribute: str, value: str, inside: Scored, draws: int) -> Subgroup:
    melanoma = inside.labels == inside.taxonomy.index.get("MEL", -1)
    sides = {
        "malignant": inside.is_malignant,
        "benign": ~inside.is_malignant,
        "melanoma": melanoma,
        "no melanoma": ~melanoma,
    }
    lesions = {side: len(set(inside.lesions[images])) for side, images in sides.items()}
    told = {name: METRICS[name] for name, needs in NEEDS.items() if min(lesions[side] for side in needs) >= MIN_LESIONS}
    measured = measure(inside, draws, told)
    unknown = Measured(np.nan, np.nan, np.nan)
    metrics = {name: measured.get(name, unknown) for name in NEEDS}
    return Subgroup(attribute, value, len(inside.labels), len(set(inside.lesions)), lesions["malignant"], metrics)
