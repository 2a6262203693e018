import numpy as np
import pytest

from ml import stack
from ml.classes import CLASSES
from ml.metrics import Scored, ece, malignant_auc


def overconfident(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (count, 2, 7) of two members that know something and claim three times as much, labels, and lesions of
    two images.
    """
    labels = rng.choice(7, count, p=[0.15, 0.4, 0.1, 0.1, 0.15, 0.05, 0.05])
    evidence = rng.normal(0, 1, (count, 1, 7)) + rng.normal(0, 0.3, (count, 2, 7))  # they err together
    evidence[np.arange(count), :, labels] += 1.5
    return 3 * evidence, labels, np.arange(count) // 2


def test_fitting_calibrates(rng: np.random.Generator) -> None:
    logits, labels, lesions = overconfident(rng, 2000)
    fitted, _ = stack.fit(logits[:1000], labels[:1000], lesions[:1000])
    ones = np.ones(1000)

    def held_out(answer: stack.Stack) -> Scored:
        return Scored(answer.probabilities(logits[1000:]), labels[1000:], lesions[1000:], 0.5)

    before, after = held_out(stack.average(2)), held_out(fitted)
    assert ece(before, ones) > 0.1
    assert ece(after, ones) < 0.05
    assert malignant_auc(after, ones) >= malignant_auc(before, ones) - 0.01


def test_thresholds_reach_what_they_promise(rng: np.random.Generator) -> None:
    is_malignant = rng.random(1000) < 0.2
    p_malignant = np.clip(rng.normal(0.3 + 0.3 * is_malignant, 0.15), 0, 1)
    limits = stack.thresholds(p_malignant, is_malignant)
    assert (p_malignant[is_malignant] >= limits["routine_referral"]).mean() >= stack.SENSITIVITY
    assert (p_malignant[~is_malignant] < limits["urgent_referral"]).mean() >= stack.SPECIFICITY
    assert limits["routine_referral"] <= limits["urgent_referral"]
    # No more is promised, since each costs the other.
    assert (p_malignant[is_malignant] > limits["routine_referral"]).mean() < stack.SENSITIVITY
    assert (p_malignant[~is_malignant] < np.nextafter(limits["urgent_referral"], 0)).mean() < stack.SPECIFICITY


def test_a_member_that_knows_nothing_is_not_listened_to(rng: np.random.Generator) -> None:
    logits, labels, lesions = overconfident(rng, 2000)
    logits[:, 1] = 3 * rng.normal(0, 1, (2000, 7))
    fitted, _ = stack.fit(logits[:1000], labels[:1000], lesions[:1000])
    silent = logits[1000:].copy()
    silent[:, 1] = 0
    heard, alone = fitted.probabilities(logits[1000:]), fitted.probabilities(silent)
    assert np.abs(heard - alone).mean() < 0.02


def test_thresholds_are_set_on_answers_to_lesions_that_were_not_seen(rng: np.random.Generator) -> None:
    """Ten copies of each image, which logits of pure noise tell apart and say nothing about."""
    labels, lesions = np.repeat(np.arange(42) % 7, 10), np.repeat(np.arange(42), 10)
    logits = np.repeat(rng.normal(0, 2, (42, 3, 7)), 10, axis=0)
    fitted, held_out = stack.fit(logits, labels, lesions)

    def surprise(probabilities: np.ndarray) -> float:
        return float(-np.log(probabilities[np.arange(420), labels]).mean())

    assert surprise(held_out) > np.log(7)
    assert surprise(fitted.probabilities(logits)) < np.log(7)


def test_perfect_separation_still_gives_rising_thresholds() -> None:
    limits = stack.thresholds(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert 0.2 < limits["routine_referral"] <= limits["urgent_referral"] <= 1


def test_too_little_data_is_said(rng: np.random.Generator) -> None:
    logits, labels, lesions = overconfident(rng, 60)
    labels[labels == CLASSES.index("DF")] = 0
    with pytest.raises(stack.StackError, match="DF 0"):
        stack.fit(logits, labels, lesions)
    labels = np.arange(70) % 7
    stack.fit(rng.normal(0, 1, (35, 1, 7)), labels[:35], np.arange(35))
    with pytest.raises(stack.StackError, match="DF 4"):  # of five images, two show one lesion
        stack.fit(rng.normal(0, 1, (35, 1, 7)), labels[:35], np.where(np.arange(35) == 33, 26, np.arange(35)))
    for one_side in (True, False):
        with pytest.raises(stack.StackError, match="malignant and benign"):
            stack.thresholds(np.array([0.5]), np.array([one_side]))
