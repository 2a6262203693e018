"""The stack: multinomial logistic regression from the members' log-probabilities to calibrated class probabilities.

Source: Wolpert, Stacked generalization, Neural Networks 1992. Fitted on the validation split, which no member was
trained on.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ml.advice import Advice
from ml.classes import CLASSES, MALIGNANT_INDICES

SENSITIVITY: Final = 0.95
SPECIFICITY: Final = 0.95
STRENGTHS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Inverse regularisations tried by cross-validation."""


class StackError(Exception):
    """Data that no stack can be fitted to; the message says what is missing."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, float64."""
    raised = np.exp((logits - logits.max(axis=-1, keepdims=True)).astype(np.float64))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def malignant(probabilities: np.ndarray) -> np.ndarray:
    """P(malignant) from class probabilities over the last axis of length 7."""
    return np.asarray(probabilities[..., list(MALIGNANT_INDICES)].sum(axis=-1))


@dataclass(frozen=True)
class Stack:
    """`coefficients` float64 (7 * members, 7) and `intercept` float64 (7,), in the order of members and CLASSES."""

    coefficients: np.ndarray
    intercept: np.ndarray

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated class probabilities (n, 7) from the members' logits (n, members, 7)."""
        return softmax(_features(logits) @ self.coefficients + self.intercept)


def average(members: int) -> Stack:
    """The stack that nobody fitted: the members' geometric mean."""
    return Stack(np.tile(np.eye(len(CLASSES)), (members, 1)) / members, np.zeros(len(CLASSES)))


def fit(logits: np.ndarray, labels: np.ndarray, lesions: np.ndarray, seed: int = 0) -> Stack:
    """Fits the stack to logits (n, members, 7), labels int (n,) and lesion ids (n,).

    The strength of the L2 penalty is chosen by five-fold cross-validation over whole lesions, then the fit uses all
    rows. Raises StackError when a class has fewer than five lesions.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    lesion_counts = [len(set(lesions[labels == index])) for index in range(len(CLASSES))]
    if min(lesion_counts) < 5:
        counts = ", ".join(f"{code} {count}" for code, count in zip(CLASSES, lesion_counts, strict=True))
        raise StackError(f"A stack needs five lesions of each class in the validation split; there are {counts}.")
    features = _features(logits)
    folds = list(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(features, labels, lesions))

    def loss(strength: float) -> float:
        losses = []
        for inside, outside in folds:
            answer = _regress(features[inside], labels[inside], strength).probabilities(logits[outside])
            losses.append(-np.log(np.clip(answer[np.arange(len(outside)), labels[outside]], 1e-12, None)).mean())
        return float(np.mean(losses))

    return _regress(features, labels, min(STRENGTHS, key=loss))


def fit_with_thresholds(
    logits: np.ndarray, labels: np.ndarray, lesions: np.ndarray, seed: int = 0
) -> tuple[Stack, dict[str, float]]:
    """`fit`, and `thresholds` for its answers to the same images."""
    fitted = fit(logits, labels, lesions, seed)
    is_malignant = np.isin(labels, MALIGNANT_INDICES)
    return fitted, thresholds(malignant(fitted.probabilities(logits)), is_malignant)


def thresholds(p_malignant: np.ndarray, is_malignant: np.ndarray) -> dict[str, float]:
    """The advice thresholds on P(malignant) (n,) that reach SENSITIVITY and SPECIFICITY on these images,
    `is_malignant` bool (n,).

    Raises StackError when one side is empty.
    """
    if is_malignant.all() or not is_malignant.any():
        raise StackError("Thresholds need malignant and benign images in the validation split.")
    routine = float(np.quantile(p_malignant[is_malignant], 1 - SENSITIVITY, method="lower"))
    urgent = float(np.nextafter(np.quantile(p_malignant[~is_malignant], SPECIFICITY, method="higher"), 1.0))
    return {Advice.URGENT_REFERRAL.value: max(urgent, routine), Advice.ROUTINE_REFERRAL.value: routine}


def _features(logits: np.ndarray) -> np.ndarray:
    """The members' log-probabilities side by side, clipped so that one certain member cannot overrule the rest:
    float64 (n, 7 * members).
    """
    log_probabilities = np.log(np.clip(softmax(logits), 1e-6, None))
    return np.asarray(log_probabilities.reshape(len(logits), -1))


def _regress(features: np.ndarray, labels: np.ndarray, strength: float) -> Stack:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=5000).fit(features, labels)
    return Stack(model.coef_.T.copy(), model.intercept_.copy())
