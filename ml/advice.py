"""From probabilities to advice, for one image and for a case with several."""

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
class Answer:
    """What is said of a case as a whole."""

    probabilities: dict[str, float]
    top_class: str
    malignant: float
    uncertainty: float
    advice: Advice


def advise(malignant: float, thresholds: Mapping[str, float]) -> Advice:
    """The advice for P(malignant), by a bundle's `thresholds` (`urgent_referral` and `routine_referral`)."""
    for advice in (Advice.URGENT_REFERRAL, Advice.ROUTINE_REFERRAL):
        if malignant >= thresholds[advice.value]:
            return advice
    return Advice.SELF_MONITOR


def malignant(probabilities: Mapping[str, float]) -> float:
    """P(malignant): the sum over MEL, BCC and AKIEC, in [0, 1]."""
    return min(1.0, max(0.0, sum(probabilities[code] for code in MALIGNANT)))


def combine(
    probabilities: Sequence[Mapping[str, float]], uncertainties: Sequence[float], thresholds: Mapping[str, float]
) -> Answer:
    """One answer from the images of a case: the mean of their probabilities.

    The uncertainty is that of the images (root mean square) together with the spread between them, both standard
    deviations of P(malignant). Raises ValueError without images.
    """
    if not probabilities:
        raise ValueError("a case is combined from at least one image")
    count = len(probabilities)
    mean = {code: sum(image[code] for image in probabilities) / count for code in probabilities[0]}
    overall = malignant(mean)
    within = sum(value**2 for value in uncertainties) / count
    between = sum((malignant(image) - overall) ** 2 for image in probabilities) / count
    return Answer(
        probabilities=mean,
        top_class=max(mean, key=mean.__getitem__),
        malignant=overall,
        uncertainty=math.sqrt(within + between),
        advice=advise(overall, thresholds),
    )
