"""Whether a candidate may replace the active bundle: both answer the same frozen test split, lesion by lesion.

A paired bootstrap draws lesions once for both, so what is compared is the difference on the same patients. For the
metrics of MARGINS the lower end of the difference's 95 % interval must not lie below minus the margin: the data has
to show that no more is lost, not merely fail to show that it is.

With so few lesions that not even equal answers would pass by the score intervals of `ml.paired`, the verdict is
`inconclusive`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ml.intervals import needed
from ml.measured import Measured, plain
from ml.metrics import DRAWS, METRICS, Metric, Scored, lesion_weights
from ml.paired import SIDES, difference, values

MARGINS: Final = {"sensitivity": 0.05, "specificity": 0.10, "malignant_auc": 0.03}
"""How much of each may at most be lost. Sensitivity is the rule; the other two stop a candidate that refers
everybody.
"""

MIN_LESIONS: Final = 30
"""Malignant and benign lesions each, where the margins do not need more already (73 for a margin of 0.05, 35 for 0.10);
with fewer the verdict is `inconclusive`, which is never `passed`.
"""


@dataclass(frozen=True)
class Row:
    """One metric: both values, NaN where the images do not determine it, candidate minus active, and `passed`,
    `failed`, `inconclusive` or `reported` (not part of the rule).
    """

    metric: str
    active: float
    candidate: float
    difference: Measured
    verdict: str


@dataclass(frozen=True)
class Gate:
    """`verdict` is `passed`, `failed` or `inconclusive`; `reason` is a sentence for the operator."""

    verdict: str
    reason: str
    images: int
    lesions: int
    malignant_lesions: int
    margins: Mapping[str, float]
    lesions_needed: Mapping[str, int]
    rows: list[Row]

    def as_dict(self) -> dict[str, Any]:
        """For `gate.json`: plain numbers, with the margins that were applied."""
        rows = [
            {
                "metric": row.metric,
                "active": plain(row.active),
                "candidate": plain(row.candidate),
                "difference": plain(row.difference.value),
                "low": plain(row.difference.low),
                "high": plain(row.difference.high),
                "verdict": row.verdict,
            }
            for row in self.rows
        ]
        return {**vars(self), "rows": rows}


def compare(
    active: Scored,
    candidate: Scored,
    *,
    margins: Mapping[str, float] = MARGINS,
    min_lesions: int = MIN_LESIONS,
    draws: int = DRAWS,
    seed: int = 0,
    metrics: Mapping[str, Metric] = METRICS,
    drawn: np.ndarray | None = None,
) -> Gate:
    """Compares answers to the same images in the same order by each of `metrics`. Raises ValueError when they are not
    the same.

    Images that chance did not choose decide nothing: where the first model's doubt chose them, the second answers
    better whatever it knows. `drawn`, bool (n,), are those that chance chose; None where it chose all.
    """
    if not (np.array_equal(active.labels, candidate.labels) and np.array_equal(active.lesions, candidate.lesions)):
        raise ValueError("The gate compares answers to the same images in the same order.")
    found, needs = lesions_of(active.is_malignant, active.lesions), lesions_needed(margins, min_lesions)
    drawn = np.ones(len(active.labels), dtype=bool) if drawn is None else drawn
    chosen = lesions_of(active.is_malignant[drawn], active.lesions[drawn])
    enough = all(chosen[side] >= fewest for side, fewest in needs.items())
    weights = list(lesion_weights(active.lesions, draws, seed))
    rows = [
        _row(name, metric, active, candidate, weights=weights, margin=margins.get(name), enough=enough)
        for name, metric in metrics.items()
    ]
    failed = [row for row in rows if row.verdict == "failed"]
    if not enough:
        verdict = "inconclusive"
        few, those = "", ""
        if not drawn.all():
            few = f", and only {chosen['malignant']} and {chosen['benign']} of them were chosen by chance"
            those = " chosen by chance"
        reason = (
            f"{found['malignant']} malignant and {found['benign']} benign lesions of the test split are new to the "
            f"model{few}; {needs['malignant']} and {needs['benign']}{those} are needed to tell."
        )
    elif failed:
        verdict = "failed"
        reason = " ".join(
            f"A loss of {row.metric.replace('_auc', ' AUC')} of more than {margins[row.metric]:.2f} cannot be ruled "
            f"out (difference {row.difference.value:+.3f}, from {row.difference.low:+.3f})."
            for row in failed
        )
    else:
        verdict, reason = "passed", "No loss beyond the margins."
    return Gate(
        verdict=verdict,
        reason=reason,
        images=len(active.labels),
        lesions=len(set(active.lesions)),
        malignant_lesions=found["malignant"],
        margins=dict(margins),
        lesions_needed=needs,
        rows=rows,
    )


def lesions_of(is_malignant: np.ndarray, lesions: np.ndarray) -> dict[str, int]:
    """How many lesions there are on each side, from bool (n,) and the lesion ids (n,) of images."""
    return {"malignant": len(set(lesions[is_malignant])), "benign": len(set(lesions[~is_malignant]))}


def lesions_needed(margins: Mapping[str, float], min_lesions: int) -> dict[str, int]:
    """How many malignant and benign lesions decide: `min_lesions`, or more where a margin needs more."""
    return {side: max(min_lesions, needed(margins[name]) if name in margins else 0) for name, side in SIDES.items()}


def _row(
    name: str,
    metric: Metric,
    active: Scored,
    candidate: Scored,
    *,
    weights: list[np.ndarray],
    margin: float | None,
    enough: bool,
) -> Row:
    before, after = (values(metric, scored, weights) for scored in (active, candidate))
    changed = difference(name, active, candidate, before, after)
    lowest = changed.value if np.isnan(changed.low) else changed.low  # no draw differs from the value then
    if margin is None:
        verdict = "reported"
    elif not enough or np.isnan(lowest):
        verdict = "inconclusive"
    else:
        verdict = "passed" if lowest >= -margin else "failed"
    return Row(name, float(before[0]), float(after[0]), changed, verdict)
