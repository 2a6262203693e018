"""Everything between the members' logits and an answer that can be trusted, fitted on images that no member was
trained on.
"""

from dataclasses import dataclass

import numpy as np

from ml import decision, stack
from ml.assess import conformal
from ml.classes import SEVEN, Taxonomy
from ml.decision import Decision
from ml.stack import Stack


@dataclass(frozen=True)
class Calibration:
    """The stack gives calibrated probabilities, the decision names a class, `thresholds` on P(malignant) turn into
    advice (see `ml.advice`), and `conformal` are the quantiles of the sets that hold the true class nine times in ten
    (see `ml.assess.conformal`). `malignant_share` is how many of the images were malignant: where it is another, a
    probability means another share. None where a bundle does not say.
    """

    stack: Stack
    decision: Decision
    thresholds: dict[str, float]
    conformal: list[float]
    malignant_share: float | None


def fit(
    logits: np.ndarray, labels: np.ndarray, lesions: np.ndarray, seed: int = 0, taxonomy: Taxonomy = SEVEN
) -> Calibration:
    """From the members' logits (n, members, k), labels int (n,) and lesion ids (n,) of the validation split. Raises
    StackError for too few lesions of a class.
    """
    fitted, probabilities = stack.fit(logits, labels, lesions, seed, taxonomy)
    is_malignant = np.isin(labels, taxonomy.malignant_indices)
    return Calibration(
        fitted,
        decision.fit(probabilities, labels),
        stack.thresholds(stack.malignant(probabilities, taxonomy), is_malignant),
        conformal.fit(probabilities, labels),
        float(is_malignant.mean()),
    )
