"""Whether a candidate may replace the active bundle: both answer the same frozen test split, lesion by lesion.

A paired bootstrap draws lesions once for both, so what is compared is the difference on the same patients. For the
metrics of MARGINS the lower end of the difference's 95 % interval must not lie below minus the margin: the data has
to show that no more is lost, not merely fail to show that it is.

With so few lesions that not even equal answers would pass by the score intervals of `ml.metrics.paired`, the verdict is
`inconclusive`.

All malignant classes together can hide one: what is gained on many carcinomas makes up for every melanoma. So a
candidate fails, too, where the whole interval of the sensitivity within one malignant class lies below 0, and with
fewer than CLASS_LESIONS of a class the verdict is at most `inconclusive`. Few lesions show great losses alone: of less
than four, net, none shows. Each class is one more row by which a candidate that lost nothing can fail, with a chance of
at most 2.7 % (simulated for 10 to 150 lesions), so of about 8 % for three; and none by which one that did lose can
pass, since every row must hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from ml.classes import class_in_sentence
from ml.metrics import DRAWS, METRICS, Metric, Scored
from ml.metrics.bootstrap import lesion_weights
from ml.metrics.intervals import needed
from ml.metrics.measured import Measured, plain
from ml.metrics.paired import SIDES, difference, values
from ml.metrics.within_classes import places, within_classes

MARGINS: Final = {"sensitivity": 0.05, "specificity": 0.10, "malignant_auc": 0.03}
"""How much of each may at most be lost. Sensitivity is the rule; the other two stop a candidate that refers
everybody.
"""

MIN_LESIONS: Final = 30
"""Malignant and benign lesions each, where the margins do not need more already (73 for a margin of 0.05, 35 for 0.10);
with fewer the verdict is `inconclusive`, which is never `passed`.
"""

CLASS_LESIONS: Final = 10
"""Lesions of each malignant class; one with fewer counts as not measured."""


@dataclass(frozen=True)
class Row:
    """One metric: both values, NaN where the images do not determine it, candidate minus active, and `passed`,
    `failed`, `inconclusive` or `reported` (not part of the rule, or of a malignant class in which no loss shows).
    """

    metric: str
    active: float
    candidate: float
    difference: Measured
    verdict: str


@dataclass(frozen=True)
class Gate:
    """`verdict` is `passed`, `failed` or `inconclusive`; `reason` says why to the operator. `class_lesions` counts
    lesions of each malignant class, by code.
    """

    verdict: str
    reason: str
    images: int
    lesions: int
    malignant_lesions: int
    margins: Mapping[str, float]
    lesions_needed: Mapping[str, int]
    class_lesions: Mapping[str, int]
    class_lesions_needed: int
    rows: list[Row]

    def as_dict(self) -> dict[str, Any]:
        """For `gate.json`: plain numbers, with the margins that were applied. The classes are a list, whose order a
        database keeps.
        """
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
        classes = [{"class": code, "lesions": count} for code, count in self.class_lesions.items()]
        return {**vars(self), "class_lesions": classes, "rows": rows}


def compare(
    active: Scored,
    candidate: Scored,
    *,
    margins: Mapping[str, float] = MARGINS,
    min_lesions: int = MIN_LESIONS,
    draws: int = DRAWS,
    seed: int = 0,
    metrics: Mapping[str, Metric] | None = None,
    drawn: np.ndarray | None = None,
) -> Gate:
    """Compares answers to the same images in the same order by each of `metrics`: those of an evaluation, and the
    sensitivity within each malignant class, where none are given. Raises ValueError when they are not the same.

    Images that chance did not choose decide nothing: where the first model's doubt chose them, the second answers
    otherwise whatever it knows. `drawn`, bool (n,), are those that chance chose; None where it chose all.
    """
    if not (np.array_equal(active.labels, candidate.labels) and np.array_equal(active.lesions, candidate.lesions)):
        raise ValueError("The gate compares answers to the same images in the same order.")
    metrics = {**METRICS, **within_classes(active.taxonomy)} if metrics is None else metrics
    found, needs = lesions_of(active.is_malignant, active.lesions), lesions_needed(margins, min_lesions)
    drawn = np.ones(len(active.labels), dtype=bool) if drawn is None else drawn
    chosen = lesions_of(active.is_malignant[drawn], active.lesions[drawn])
    enough = all(chosen[side] >= fewest for side, fewest in needs.items())
    by_chance = bool(drawn.all())
    of_class = _class_lesions(active)
    few = {name for name, (_, count) in of_class.items() if count < CLASS_LESIONS}
    weights = list(lesion_weights(active.lesions, draws, seed))
    rows = [_row(name, metric, active, candidate, weights) for name, metric in metrics.items()]
    rows = [
        replace(row, verdict=_by_class(row, enough and row.metric not in few, enough or by_chance))
        if row.metric in of_class
        else replace(row, verdict=_by_margin(row, margins.get(row.metric), enough))
        for row in rows
    ]
    worse = [row for row in rows if row.metric in of_class and row.difference.high < 0]
    failed = [row for row in rows if row.verdict == "failed"]
    told = [_worse(row, of_class[row.metric][0]) for row in worse]
    told += [_beyond(row, margins[row.metric]) for row in failed if row.metric in margins]
    if not enough:
        told.append(_too_few(found, None if by_chance else chosen, needs))
    elif not failed:
        told.append(f"No loss beyond the margins{', all lesions taken together' if few else ''}.")
    if unknown := [of_class[name] for name in of_class if name in few - {row.metric for row in worse}]:
        names = ", ".join(f"{class_in_sentence(code)} ({count})" for code, count in unknown)
        told.append(f"Whether it still finds these is not measured, for fewer than {CLASS_LESIONS} lesions: {names}.")
    return Gate(
        verdict="failed" if failed else "passed" if enough and not few else "inconclusive",
        reason=" ".join(told),
        images=len(active.labels),
        lesions=len(set(active.lesions)),
        malignant_lesions=found["malignant"],
        margins=dict(margins),
        lesions_needed=needs,
        class_lesions=dict(of_class.values()),
        class_lesions_needed=CLASS_LESIONS,
        rows=rows,
    )


def lesions_of(is_malignant: np.ndarray, lesions: np.ndarray) -> dict[str, int]:
    """How many lesions there are on each side, from bool (n,) and the lesion ids (n,) of images."""
    return {"malignant": len(set(lesions[is_malignant])), "benign": len(set(lesions[~is_malignant]))}


def lesions_needed(margins: Mapping[str, float], min_lesions: int) -> dict[str, int]:
    """How many malignant and benign lesions decide: `min_lesions`, or more where a margin needs more."""
    return {side: max(min_lesions, needed(margins[name]) if name in margins else 0) for name, side in SIDES.items()}


def _class_lesions(scored: Scored) -> dict[str, tuple[str, int]]:
    """By the name of the sensitivity within each malignant class, its code and how many lesions it has."""
    return {
        name: (scored.taxonomy.codes[place], len(set(scored.lesions[scored.labels == place])))
        for name, place in places(scored.taxonomy).items()
    }


def _row(name: str, metric: Metric, active: Scored, candidate: Scored, weights: list[np.ndarray]) -> Row:
    before, after = (values(metric, scored, weights) for scored in (active, candidate))
    changed = difference(name, active, candidate, before, after)
    return Row(name, float(before[0]), float(after[0]), changed, "reported")


def _by_margin(row: Row, margin: float | None, enough: bool) -> str:
    """The verdict on a metric that may lose `margin`, None for one that is no part of the rule."""
    changed = row.difference
    lowest = changed.value if np.isnan(changed.low) else changed.low  # no draw differs from the value then
    if margin is None:
        return "reported"
    if not enough or np.isnan(lowest):
        return "inconclusive"
    return "passed" if lowest >= -margin else "failed"


def _by_class(row: Row, measured: bool, decide: bool) -> str:
    """The verdict on the sensitivity within a class, whose lesions may be too few to count as `measured`. A loss that
    shows is one however few they are, except on images that cannot `decide`.
    """
    if decide and row.difference.high < 0:
        return "failed"
    return "reported" if measured else "inconclusive"


def _worse(row: Row, code: str) -> str:
    return (
        f"It finds {class_in_sentence(code)} less often: sensitivity {row.active:.3f} before, {row.candidate:.3f} now, "
        "and the whole 95 % interval of the difference lies below 0."
    )


def _beyond(row: Row, margin: float) -> str:
    return (
        f"A loss of {row.metric.replace('_auc', ' AUC')} of more than {margin:.2f} cannot be ruled out (difference "
        f"{row.difference.value:+.3f}, from {row.difference.low:+.3f})."
    )


def _too_few(found: Mapping[str, int], chosen: Mapping[str, int] | None, needs: Mapping[str, int]) -> str:
    """`chosen` are those that chance chose, None where it chose all."""
    wanted = f"{needs['malignant']} malignant and {needs['benign']} benign ones that are new to the model"
    if chosen is None:
        return f"Too few lesions to tell: the test split needs {wanted}. It has {_counted(found)}."
    told = f"Too few lesions to tell: the test split needs {wanted} and that annotators were given by chance. "
    told += f"It has {_counted(chosen)}"
    if chosen != found:
        told += (
            f"; or {_counted(found)} with those that annotators were given because the model was unsure, which decide "
            "nothing"
        )
    return f"{told}. More labels bring more of them."


def _counted(lesions: Mapping[str, int]) -> str:
    return f"{lesions['malignant']} malignant and {lesions['benign']} benign"
