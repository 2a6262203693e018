"""Naming one class from calibrated probabilities so that a rare class counts as much as a common one.

Calibrated probabilities know that most lesions are naevi, so their largest one is right most often, and seldom names a
rare class. Balanced accuracy asks for the class whose probability rises most above its frequency: Bayes' rule with
equal priors (Menon et al., Long-tail learning via logit adjustment, ICLR 2021).
"""

from dataclasses import dataclass

import numpy as np

from ml.stack import softmax


@dataclass(frozen=True)
class Decision:
    """`bias` float64 (k,) is added to the log-probabilities; `temperature` makes the confidence of what is then
    named true.
    """

    bias: np.ndarray
    temperature: float

    def probabilities(self, calibrated: np.ndarray) -> np.ndarray:
        """What stands behind the named class: (n, k) from calibrated probabilities (n, k).

        The largest is the class named, and as large as such answers are right. The others are not calibrated.
        """
        return softmax(_balanced(calibrated, self.bias) / self.temperature)

    def named(self, calibrated: np.ndarray) -> np.ndarray:
        """The place of the class named, int (n,)."""
        return np.asarray(_balanced(calibrated, self.bias).argmax(axis=1))


def fit(calibrated: np.ndarray, labels: np.ndarray) -> Decision:
    """The decision for the frequencies of `labels` int (n,), which must hold every class, from calibrated
    probabilities (n, k) of images that nothing was trained on.
    """
    from scipy.optimize import minimize_scalar

    classes = calibrated.shape[1]
    bias = -np.log(np.bincount(labels, minlength=classes) / len(labels))
    right = Decision(bias, 1.0).named(calibrated) == labels

    def surprise(log_temperature: float) -> float:
        confidence = Decision(bias, float(np.exp(log_temperature))).probabilities(calibrated).max(axis=1)
        return float(-np.log(np.clip(np.where(right, confidence, 1 - confidence), 1e-9, None)).mean())

    return Decision(bias, float(np.exp(minimize_scalar(surprise, bounds=(-2, 3), method="bounded").x)))


def _balanced(calibrated: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.clip(calibrated, 1e-12, None)) + bias)
