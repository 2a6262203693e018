"""What a change of the photos costs: answers to the same images before and after it, compared lesion by lesion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml.intervals import interval
from ml.measured import Measured
from ml.metrics import DRAWS, METRICS, Scored, lesion_weights, measure_mean

COMPARED: Final = ("malignant_auc", "sensitivity", "specificity", "balanced_accuracy")


@dataclass(frozen=True)
class Cost:
    """Of one change: each metric of COMPARED after it, and after minus before with the paired interval; how far
    P(malignant) moved, as a mean of absolute differences; and the share of images that changed sides at the operating
    point.
    """

    change: str
    after: dict[str, float]
    difference: dict[str, Measured]
    moved: Measured
    switched: Measured


def costs(clean: Scored, changed: Mapping[str, Scored], draws: int = DRAWS, seed: int = 0) -> list[Cost]:
    """The cost of each change of the photos, by its name: `changed` are the answers after it.

    A draw of the bootstrap takes the same lesions before and after. Raises ValueError where the images or their order
    differ.
    """
    weights = list(lesion_weights(clean.lesions, draws, seed))
    ones = np.ones(len(clean.labels))
    before = {name: [METRICS[name](clean, weight) for weight in [ones, *weights]] for name in COMPARED}
    rows = []
    for change, answers in changed.items():
        if not (np.array_equal(clean.labels, answers.labels) and np.array_equal(clean.lesions, answers.lesions)):
            raise ValueError(f"The answers after {change} are not to the same images in the same order.")
        after, difference = {}, {}
        for name in COMPARED:
            values = np.array([METRICS[name](answers, weight) for weight in [ones, *weights]])
            lost = values - np.array(before[name])
            after[name] = float(values[0])
            difference[name] = Measured(float(lost[0]), *interval(lost[1:]))
        moved = measure_mean(np.abs(answers.p_malignant - clean.p_malignant), clean.lesions, draws, seed)
        switched = measure_mean(answers.referred != clean.referred, clean.lesions, draws, seed)
        rows.append(Cost(change, after, difference, moved, switched))
    return rows
