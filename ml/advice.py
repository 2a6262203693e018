"""From P(malignant) to what to do next, for an image and for a case of several images. Light imports only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ml.classes import BINARY, is_malignant


class Advice(StrEnum):
    """What to do next, the most urgent first."""

    URGENT_REFERRAL = "urgent_referral"
    ROUTINE_REFERRAL = "routine_referral"
    SELF_MONITOR = "self_monitor"


Thresholds = Mapping[str, float]
"""P(malignant) from which `urgent_referral` and `routine_referral` hold, by those names, as a bundle's manifest gives
them.

Set on the validation split: `routine_referral` keeps 95 % sensitivity for malignant lesions (the operating point),
`urgent_referral` 95 % specificity.
"""


def advise(malignant: float, thresholds: Thresholds) -> Advice:
    """The advice for a P(malignant) in [0, 1]."""
    if malignant >= thresholds[Advice.URGENT_REFERRAL]:
        return Advice.URGENT_REFERRAL
    if malignant >= thresholds[Advice.ROUTINE_REFERRAL]:
        return Advice.ROUTINE_REFERRAL
    return Advice.SELF_MONITOR


@dataclass(frozen=True)
class CaseAnswer:
    """What the images of one case say together; units as in `ml.runtime.Prediction`."""

    probabilities: dict[str, float]
    top_class: str
    malignant: float
    uncertainty: float | None
    advice: Advice


def combine(
    probabilities: Sequence[Mapping[str, float]], uncertainties: Sequence[float | None], thresholds: Thresholds
) -> CaseAnswer:
    """The answer for a case from those for its images, in one order: mean probabilities, and the advice that their
    P(malignant) gives; never `self_monitor` where one image alone would be referred.

    The thresholds are set on single images, so the sensitivity that they keep holds for a case only if a picture that
    reaches them is not outvoted by others: by a mean of 0.20, 0.01 and 0.01 it would be.

    The uncertainty is a standard deviation by the law of total variance: the images' mean variance (their errors are
    not independent, so it does not shrink with their number) plus the variance between the images. None where an image
    has none.

    Images that were answered in different taxonomies are combined as malignant or benign alone: a class that one of
    them could not name has no mean, and P(malignant) means the same in all. Raises ValueError without an image, or when
    the two lists differ in length.
    """
    if not probabilities or len(probabilities) != len(uncertainties):
        raise ValueError(f"{len(probabilities)} images with {len(uncertainties)} uncertainties give no answer.")
    count = len(probabilities)
    malignants = [math.fsum(image[code] for code in image if is_malignant(code)) for image in probabilities]
    if any(image.keys() != probabilities[0].keys() for image in probabilities):
        probabilities = [dict(zip(BINARY.codes, (1 - share, share), strict=True)) for share in malignants]
    mean = {code: math.fsum(image[code] for image in probabilities) / count for code in probabilities[0]}
    malignant = math.fsum(malignants) / count
    advice = advise(malignant, thresholds)
    if advice is Advice.SELF_MONITOR and advise(max(malignants), thresholds) is not advice:
        advice = Advice.ROUTINE_REFERRAL
    return CaseAnswer(
        probabilities=mean,
        top_class=max(mean, key=mean.__getitem__),
        malignant=malignant,
        uncertainty=_together(uncertainties, malignants),
        advice=advice,
    )


def _together(uncertainties: Sequence[float | None], malignants: Sequence[float]) -> float | None:
    variances = [value**2 for value in uncertainties if value is not None]
    if len(variances) < len(malignants):
        return None
    mean = math.fsum(malignants) / len(malignants)
    between = math.fsum((share - mean) ** 2 for share in malignants)
    return math.sqrt((math.fsum(variances) + between) / len(malignants))
