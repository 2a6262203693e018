"""Age, sex, site and size of a lesion as numbers, and a classifier of these alone."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

NUMBERS: Final = ("age", "size_mm")
WORDS: Final = ("sex", "site")


@dataclass(frozen=True)
class Metadata:
    """What the train side told: the median and the standard deviation of each of NUMBERS, and the words that each of
    WORDS had there.
    """

    medians: dict[str, float]
    spreads: dict[str, float]
    words: dict[str, tuple[str, ...]]

    @property
    def width(self) -> int:
        """The length of a vector."""
        return 2 * len(NUMBERS) + sum(len(known) + 1 for known in self.words.values())

    def vectors(self, rows: pd.DataFrame) -> np.ndarray:
        """Rows of `ml.data.table`'s schema as float32 (n, width).

        Each number is standardised, the median where it is missing, with an indicator that it was; each word is
        one-hot, and a missing or new one is "unknown", a place of its own.
        """
        columns = []
        for name in NUMBERS:
            missing = rows[name].isna()
            columns.append((rows[name].fillna(self.medians[name]) - self.medians[name]) / self.spreads[name])
            columns.append(missing)
        for name, known in self.words.items():
            columns.extend(rows[name] == word for word in known)
            columns.append(~rows[name].isin(known))
        return np.stack([column.to_numpy(dtype=np.float32) for column in columns], axis=1)


def learnt(rows: pd.DataFrame) -> Metadata:
    """What the rows of the train side, in `ml.data.table`'s schema, tell; a number that none of them has counts as
    missing everywhere.
    """
    medians, spreads = {}, {}
    for name in NUMBERS:
        known = rows[name].dropna()
        medians[name] = float(known.median()) if len(known) else 0.0
        spreads[name] = (float(known.std(ddof=0)) if len(known) else 0.0) or 1.0
    words = {name: tuple(sorted(set(rows[name]) - {""})) for name in WORDS}
    return Metadata(medians, spreads, words)


def classifier(vectors: np.ndarray, labels: np.ndarray) -> Any:
    """A logistic regression from vectors (n, width) to the labels int (n,), with every class of equal weight; its
    `predict_log_proba` gives (n, classes).
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):  # matrices so small that threads only wait for one another
        return LogisticRegression(class_weight="balanced", max_iter=1000).fit(vectors, labels)
