"""The stack: multinomial logistic regression from the members' log-probabilities to calibrated class probabilities.

Source: Wolpert, Stacked generalization, Neural Networks 1992. Fitted on the validation split, which no member was
trained on.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ml.advice import Advice
from ml.classes import SEVEN, Taxonomy

SENSITIVITY: Final = 0.95
SPECIFICITY: Final = 0.95
PENALTIES: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Strengths of the penalty tried by cross-validation, in nats for each squared unit of coefficient."""


class StackError(Exception):
    """Data that no stack can be fitted to; the message says what is missing."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, float64."""
    raised = np.exp((logits - logits.max(axis=-1, keepdims=True)).astype(np.float64))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def malignant(probabilities: np.ndarray, taxonomy: Taxonomy = SEVEN) -> np.ndarray:
    """P(malignant) from probabilities of the taxonomy's classes over the last axis."""
    return np.asarray(probabilities[..., list(taxonomy.malignant_indices)].sum(axis=-1))


@dataclass(frozen=True)
class Stack:
    """`coefficients` float64 (k * members, k) and `intercept` float64 (k,), in the order of members and of k
    classes.
    """

    coefficients: np.ndarray
    intercept: np.ndarray

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated class probabilities (n, k) from the members' logits (n, members, k)."""
        return softmax(_features(logits) @ self.coefficients + self.intercept)


def average(members: int, classes: int = len(SEVEN.codes)) -> Stack:
    """The stack that nobody fitted: the members' geometric mean."""
    return Stack(np.tile(np.eye(classes), (members, 1)) / members, np.zeros(classes))


def require_lesions(labels: np.ndarray, lesions: np.ndarray, taxonomy: Taxonomy = SEVEN) -> None:
    """Raises StackError unless each class has five lesions: labels int (n,) and lesion ids (n,) of the validation
    split.
    """
    lesion_counts = [len(set(lesions[labels == index])) for index in range(len(taxonomy.codes))]
    if min(lesion_counts) < 5:
        counts = ", ".join(f"{code} {count}" for code, count in zip(taxonomy.codes, lesion_counts, strict=True))
        raise StackError(f"A stack needs five lesions of each class in the validation split; there are {counts}.")


def fit(
    logits: np.ndarray, labels: np.ndarray, lesions: np.ndarray, seed: int = 0, taxonomy: Taxonomy = SEVEN
) -> tuple[Stack, np.ndarray]:
    """Fits the stack to logits (n, members, k), labels int (n,) and lesion ids (n,), and gives with it the
    probabilities (n, k) of stacks that were fitted without the lesion that they answer: what thresholds may be set on.

    An L2 penalty draws the coefficients to a multiple of the members' average, not to zero: with few images the
    answer stays the members' own, at the right temperature and class frequencies. Its strength is chosen by five-fold
    cross-validation over whole lesions, then the fit uses all rows. Raises StackError when a class has fewer than
    five lesions.
    """
    from sklearn.model_selection import StratifiedGroupKFold
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    require_lesions(labels, lesions, taxonomy)
    classes = len(taxonomy.codes)
    features = _features(logits)
    folds = list(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(features, labels, lesions))

    def held_out(penalty: float) -> np.ndarray:
        answers = np.empty((len(labels), classes))
        for inside, outside in folds:
            answers[outside] = _regress(features[inside], labels[inside], penalty, classes).probabilities(
                logits[outside]
            )
        return answers

    with threadpool_limits(1):  # matrices so small that threads only wait for one another
        answers = {penalty: held_out(penalty) for penalty in PENALTIES}
        best = min(PENALTIES, key=lambda penalty: _cross_entropy(answers[penalty], labels))
        return _regress(features, labels, best, classes), answers[best]


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
    float64 (n, k * members).
    """
    log_probabilities = np.log(np.clip(softmax(logits), 1e-6, None))
    return np.asarray(log_probabilities.reshape(len(logits), logits.shape[1] * logits.shape[2]))


def _regress(features: np.ndarray, labels: np.ndarray, penalty: float, classes: int) -> Stack:
    """Minimises cross-entropy over a scale of the average, deviations from it (penalised) and an intercept."""
    from scipy.optimize import minimize

    count, width = features.shape
    start = average(width // classes, classes).coefficients
    averaged = features @ start
    truth = np.eye(classes)[labels]

    def unpacked(parameters: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return parameters[0], parameters[1:-classes].reshape(width, classes), parameters[-classes:]

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale, deviation, intercept = unpacked(parameters)
        answer = softmax(scale * averaged + features @ deviation + intercept)
        error = (answer - truth) / count
        gradient = [
            [(error * averaged).sum()],
            (features.T @ error + 2 * penalty * deviation).ravel(),
            error.sum(axis=0),
        ]
        return _cross_entropy(answer, labels) + penalty * float((deviation**2).sum()), np.concatenate(gradient)

    first = np.zeros(1 + width * classes + classes)
    first[0] = 1.0
    found = minimize(objective, first, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    scale, deviation, intercept = unpacked(found.x)
    return Stack(scale * start + deviation, intercept)


def _cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, None)).mean())
