"""From P(malignant) to what to do next, for an image and for a case of several images. Light imports only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ml.classes import MALIGNANT


class Advice(StrEnum):
    """What to do next, most urgent first."""

    URGENT_REFERRAL = "urgent_referral"
    ROUTINE_REFERRAL = "routine_referral"
    SELF_MONITOR = "self_monitor"


@dataclass(frozen=True)
class Thresholds:
    """P(malignant) from which an advice holds. Set on the validation split: `routine_referral` keeps 95 % sensitivity
    for malignant lesions (the operating point), `urgent_referral` 95 % specificity.

    Raises ValueError unless 0 <= routine_referral <= urgent_referral <= 1.
    """

    routine_referral: float
    urgent_referral: float

    def __post_init__(self) -> None:
        if not 0 <= self.routine_referral <= self.urgent_referral <= 1:
            raise ValueError(f"Thresholds must rise within [0, 1]: {self.routine_referral}, {self.urgent_referral}.")


@dataclass(frozen=True)
class CaseAnswer:
    """What the images of one case say together; units as in `ml.runtime.Prediction`."""

    probabilities: dict[str, float]
    top_class: str
    malignant: float
    uncertainty: float
    advice: Advice


def advise(malignant: float, thresholds: Thresholds) -> Advice:
    """The advice for a P(malignant) in [0, 1]."""
    if malignant >= thresholds.urgent_referral:
        return Advice.URGENT_REFERRAL
    if malignant >= thresholds.routine_referral:
        return Advice.ROUTINE_REFERRAL
    return Advice.SELF_MONITOR


def malignant(probabilities: Mapping[str, float]) -> float:
    """P(malignant): the sum over MEL, BCC and AKIEC, in [0, 1]."""
    return min(1.0, math.fsum(probabilities[code] for code in MALIGNANT))


def combine(
    probabilities: Sequence[Mapping[str, float]], uncertainties: Sequence[float], thresholds: Thresholds
) -> CaseAnswer:
    """The answer for a case from those for its images, in the same order: the mean of their probabilities.

    The uncertainty is a standard deviation by the law of total variance: the images' mean variance (their errors are
    not independent, so it does not shrink with their number) plus the variance between the images. Raises ValueError
    when there is no image.
    """
    count = len(probabilities)
    if count == 0:
        raise ValueError("A case without an image has no answer.")
    mean = {code: math.fsum(image[code] for image in probabilities) / count for code in probabilities[0]}
    overall = malignant(mean)
    within = math.fsum(value**2 for value in uncertainties) / count
    between = math.fsum((malignant(image) - overall) ** 2 for image in probabilities) / count
    return CaseAnswer(
        probabilities=mean,
        top_class=max(mean, key=mean.__getitem__),
        malignant=overall,
        uncertainty=math.sqrt(within + between),
        advice=advise(overall, thresholds),
    )
