"""What a change of the photos costs: answers to the same images before and after it, compared lesion by lesion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml.metrics import DRAWS, METRICS, Scored, measure_mean
from ml.metrics.bootstrap import lesion_weights
from ml.metrics.measured import Measured
from ml.metrics.paired import difference, values

COMPARED: Final = ("malignant_auc", "sensitivity", "specificity", "balanced_accuracy")


@dataclass(frozen=True)
class Cost:
    """Of one change: each metric of COMPARED after it, and after minus before as `ml.metrics.paired` has it; how far
    P(malignant) moved, as a mean of absolute differences; and the share of images that changed sides at the operating
    point.
    """

    change: str
    after: dict[str, float]
    difference: dict[str, Measured]
    moved: Measured
    switched: Measured


def costs(clean: Scored, changed: Mapping[str, Scored], draws: int = DRAWS) -> list[Cost]:
    """The cost of each change of the photos, by its name: `changed` are the answers after it.

    A draw of the bootstrap takes the same lesions before and after. Raises ValueError where the images or their order
    differ.
    """
    weights = list(lesion_weights(clean.lesions, draws))
    before = {name: values(METRICS[name], clean, weights) for name in COMPARED}
    rows = []
    for change, answers in changed.items():
        if not (np.array_equal(clean.labels, answers.labels) and np.array_equal(clean.lesions, answers.lesions)):
            raise ValueError(f"The answers after {change} are not to the same images in the same order.")
        after = {name: values(METRICS[name], answers, weights) for name in COMPARED}
        lost = {name: difference(name, clean, answers, before[name], after[name]) for name in COMPARED}
        moved = measure_mean(np.abs(answers.p_malignant - clean.p_malignant), clean.lesions, draws)
        switched = measure_mean(answers.referred != clean.referred, clean.lesions, draws)
        rows.append(Cost(change, {name: float(of[0]) for name, of in after.items()}, lost, moved, switched))
    return rows
