from dataclasses import replace

import numpy as np
import pytest

from ml import gate
from ml.classes import BINARY, SEVEN
from ml.cli import main
from ml.metrics import Scored


def answers(malignant: int, benign: int, missed: int, false_alarms: int) -> Scored:
    """One image for each lesion, the malignant ones of the three malignant classes in turn; the first `missed` of them
    stay below the operating point, the first `false_alarms` benign ones reach it.
    """
    p = np.concatenate([np.full(malignant, 0.9), np.full(benign, 0.1)])
    p[:missed] = 0.2
    p[malignant : malignant + false_alarms] = 0.7
    probabilities = np.zeros((malignant + benign, 7))
    probabilities[:, 0], probabilities[:, 1] = p, 1 - p
    labels = np.concatenate([np.resize(SEVEN.malignant_indices, malignant), np.ones(benign, int)])
    return Scored(probabilities, labels, np.arange(malignant + benign), 0.5)


def verdicts(result: gate.Gate) -> dict[str, str]:
    return {row.metric: row.verdict for row in result.rows}


def test_an_equal_candidate_passes() -> None:
    active = answers(100, 200, 5, 20)
    result = gate.compare(active, active, draws=200)
    assert result.verdict == "passed"
    assert (result.malignant_lesions, result.lesions, result.images) == (100, 300, 300)
    assert verdicts(result)["sensitivity"] == "passed"
    assert verdicts(result)["balanced_accuracy"] == "reported"


def test_lost_sensitivity_fails_and_says_so() -> None:
    result = gate.compare(answers(100, 200, 5, 20), answers(100, 200, 15, 10), draws=200)
    assert result.verdict == "failed"
    assert verdicts(result)["sensitivity"] == "failed"
    assert "sensitivity" in result.reason
    row = next(row for row in result.rows if row.metric == "sensitivity")
    assert (row.active, row.candidate, row.difference.value) == pytest.approx((0.95, 0.85, -0.1))
    assert row.difference.low < -gate.MARGINS["sensitivity"]


def test_a_loss_that_cannot_be_ruled_out_fails_too() -> None:
    """One of eighty missed: the value lies within the margin of 0.05, and its interval does not."""
    result = gate.compare(answers(80, 60, 0, 0), answers(80, 60, 1, 0), draws=500)
    assert result.verdict == "failed"
    row = next(row for row in result.rows if row.metric == "sensitivity")
    assert row.difference.low < -gate.MARGINS["sensitivity"] < row.difference.value


def test_a_metric_is_named_in_words() -> None:
    active, candidate = answers(100, 200, 5, 20), answers(100, 200, 5, 20)
    candidate.probabilities[120:, :2] = 0.25, 0.75  # above the malignant ones that are missed
    reason = gate.compare(active, candidate, draws=200).reason
    assert "A loss of malignant AUC of more than 0.03 cannot be ruled out" in reason


def test_referring_everybody_is_no_way_through() -> None:
    result = gate.compare(answers(100, 200, 5, 20), answers(100, 200, 0, 200), draws=200)
    assert result.verdict == "failed"
    assert verdicts(result)["sensitivity"] == "passed"
    assert verdicts(result)["specificity"] == "failed"


@pytest.mark.parametrize(("malignant", "benign"), [(72, 200), (200, 34), (0, 50), (1, 1)])
def test_too_few_lesions_are_inconclusive_and_never_pass(malignant: int, benign: int) -> None:
    """None of 72 missed anew is compatible with a loss of 0.0507, and the margin is 0.05."""
    active = answers(malignant, benign, 0, 0)
    result = gate.compare(active, active, draws=50)
    assert result.verdict == "inconclusive"
    assert "passed" not in verdicts(result).values()
    assert f"It has {malignant} malignant and {benign} benign." in result.reason
    if not malignant:
        sensitivity = next(row for row in result.as_dict()["rows"] if row["metric"] == "sensitivity")
        assert sensitivity["active"] is sensitivity["difference"] is sensitivity["low"] is None


def test_just_enough_lesions_decide() -> None:
    active = answers(73, 35, 0, 0)
    result = gate.compare(active, active, draws=50)
    assert result.verdict == "passed"
    assert result.lesions_needed == {"malignant": 73, "benign": 35}
    sensitivity = next(row for row in result.rows if row.metric == "sensitivity")
    assert sensitivity.difference.low == pytest.approx(-0.04999, abs=1e-5)
    assert sensitivity.difference.high == pytest.approx(0.04999, abs=1e-5)


def test_a_gain_elsewhere_makes_up_for_a_lesion_missed_anew() -> None:
    """Four missed anew and ten found: exchanged lesions alone do not fail a candidate that finds more."""
    active, candidate = answers(200, 200, 10, 0), answers(200, 200, 0, 0)
    candidate.probabilities[10:14, :2] = 0.2, 0.8
    assert gate.compare(active, candidate, draws=200).verdict == "passed"


@pytest.mark.parametrize("crowded", [True, False])
def test_many_images_of_few_lesions_are_few(crowded: bool) -> None:
    """Ten images of each malignant lesion, or of each benign one."""
    active = answers(100, 100, 0, 0)
    lesions = np.where(active.is_malignant == crowded, np.arange(200) // 10, np.arange(200) + 1000)
    few = Scored(active.probabilities, active.labels, lesions, 0.5)
    result = gate.compare(few, few, draws=50)
    assert result.verdict == "inconclusive"
    assert (result.lesions, result.images) == (110, 200)


def test_different_images_are_not_compared() -> None:
    one = answers(40, 40, 0, 0)
    others = Scored(one.probabilities, one.labels, one.lesions + 1, 0.5)
    swapped = Scored(one.probabilities, one.labels[::-1], one.lesions, 0.5)
    for other in (answers(40, 41, 0, 0), others, swapped):
        with pytest.raises(ValueError, match="same images"):
            gate.compare(one, other)


@pytest.mark.parametrize("margin", ["0", "1", "-0.1"])
def test_a_margin_that_lets_all_or_nothing_pass_is_refused(margin: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [word for name in ("bundle", "snapshot", "images", "output") for word in (f"--{name}", "nowhere")]
    with pytest.raises(SystemExit):
        main(["retrain", *paths, f"--margin={margin}"])
    assert "no share between 0 and 1" in capsys.readouterr().err


def test_images_that_chance_did_not_choose_decide_nothing() -> None:
    active = answers(100, 200, 5, 20)
    result = gate.compare(active, active, draws=50, drawn=np.isin(np.arange(300), [*range(12), *range(100, 140)]))
    assert result.verdict == "inconclusive"
    assert "passed" not in verdicts(result).values()
    assert result.reason == (
        "Too few lesions to tell: the test split needs 73 malignant and 35 benign ones that are new to the model and "
        "that annotators were given by chance. It has 12 malignant and 40 benign; or 100 malignant and 200 benign with "
        "those that annotators were given because the model was unsure, which decide nothing. More labels bring more "
        "of them."
    )


def test_a_candidate_that_answers_no_longer_does_not_pass() -> None:
    """A malignant lesion that it turns away as no lesion is one that it misses, however it would have answered."""
    active = answers(100, 200, 5, 20)
    for turned_away, verdict in ((0, "passed"), (30, "failed"), (300, "failed")):
        candidate = replace(active, answered=np.arange(300) >= turned_away)
        result = gate.compare(active, candidate, draws=200)
        assert (turned_away, result.verdict) == (turned_away, verdict)
    assert verdicts(result)["sensitivity"] == "failed"
    both = replace(active, answered=np.arange(300) >= 30)
    assert gate.compare(both, both, draws=200).verdict == "passed"


def test_turning_benign_lesions_away_is_no_gain() -> None:
    active, many_alarms = answers(100, 200, 5, 20), answers(100, 200, 5, 60)
    benign = np.arange(300) - 100
    fewer = replace(active, answered=~np.isin(benign, np.arange(20, 170)))
    assert gate.compare(active, fewer, draws=200).verdict == "failed"
    hidden = replace(many_alarms, answered=~np.isin(benign, np.arange(60)))
    assert gate.compare(active, hidden, draws=200).verdict == "failed"
    strict = replace(active, answered=~np.isin(benign, np.arange(20)))
    assert gate.compare(strict, active, draws=200).verdict == "passed"


def test_an_operator_states_the_margin_and_how_many_lesions_decide() -> None:
    active, candidate = answers(100, 200, 5, 20), answers(100, 200, 8, 10)  # one more of each class missed
    assert gate.compare(active, candidate, draws=200).verdict == "failed"
    lenient = gate.compare(active, candidate, margins={"sensitivity": 0.5}, draws=200)
    assert lenient.verdict == "passed"
    assert {row.metric for row in lenient.rows if row.verdict != "reported"} == {"sensitivity"}
    assert lenient.as_dict()["margins"] == {"sensitivity": 0.5}
    assert gate.compare(active, candidate, min_lesions=101, draws=200).verdict == "inconclusive"


def clinic(melanomas: int, carcinomas: int, benign: int = 600) -> Scored:
    """Answers of a model that refers every melanoma, all basal cell carcinomas but six and no benign lesion."""
    labels = np.repeat([0, 2, 1], [melanomas, carcinomas, benign])
    p = np.repeat([0.5, 0.9, 0.01], [melanomas, carcinomas, benign])
    p[melanomas : melanomas + 6] = 0.05
    probabilities = np.zeros((len(labels), 7))
    probabilities[np.arange(len(labels)), np.where(labels == 1, 0, labels)] = p
    probabilities[:, 1] = 1 - p
    return Scored(probabilities, labels, np.arange(len(labels)), 0.075)


def but(scored: Scored, of_class: int, p: float) -> Scored:
    """The same answers with another P(malignant) for the first six lesions of a class."""
    probabilities = scored.probabilities.copy()
    rows = np.flatnonzero(scored.labels == of_class)[:6]
    probabilities[rows, of_class], probabilities[rows, 1] = p, 1 - p
    return replace(scored, probabilities=probabilities)


def test_carcinomas_gained_do_not_make_up_for_melanomas_lost() -> None:
    active = clinic(melanomas=6, carcinomas=150)
    result = gate.compare(active, but(but(active, 2, 0.5), 0, 0.06), draws=200)
    rows = {row.metric: row for row in result.rows}
    assert rows["sensitivity"].difference.value == 0
    assert (rows["sensitivity_MEL"].active, rows["sensitivity_MEL"].candidate) == (1, 0)
    assert verdicts(result)["sensitivity_MEL"] == result.verdict == "failed"
    assert "It finds melanoma less often: sensitivity 1.000 before, 0.000 now" in result.reason
    assert "melanoma (6)" not in result.reason  # which are enough to show that much


def test_melanomas_lost_among_many_carcinomas_fail_without_a_gain_elsewhere() -> None:
    active = clinic(melanomas=14, carcinomas=500)
    result = gate.compare(active, but(active, 0, 0.06), draws=200)
    assert verdicts(result)["sensitivity"] == "passed"
    assert (verdicts(result)["sensitivity_MEL"], result.verdict) == ("failed", "failed")
    assert "melanoma" in result.reason


@pytest.mark.parametrize(("melanomas", "told"), [(0, "melanoma (0)"), (9, "melanoma (9)"), (10, "")])
def test_a_malignant_class_that_too_few_lesions_show_is_named_and_does_not_pass(melanomas: int, told: str) -> None:
    labels = np.resize([2, 3], 150)
    others = answers(150, 100, 0, 0)
    active = replace(others, labels=np.concatenate([labels, others.labels[150:]]))
    active.labels[:melanomas] = 0
    result = gate.compare(active, active, draws=50)
    assert result.class_lesions["MEL"] == melanomas
    assert (told in result.reason, result.verdict) == (True, "inconclusive" if told else "passed")
    assert verdicts(result)["sensitivity_MEL"] == ("inconclusive" if told else "reported")
    assert result.reason.startswith("No loss beyond the margins, all lesions taken together" if told else "No loss")


def test_losses_in_images_that_chance_did_not_choose_are_told_and_decide_nothing() -> None:
    active = clinic(melanomas=14, carcinomas=150)
    chosen = np.isin(np.arange(len(active.labels)), np.arange(20))
    result = gate.compare(active, but(active, 0, 0.06), draws=50, drawn=chosen)
    assert (result.verdict, verdicts(result)["sensitivity_MEL"]) == ("inconclusive", "inconclusive")
    assert "It finds melanoma less often" in result.reason


def test_a_loss_that_shows_fails_however_few_the_lesions_are() -> None:
    active = clinic(melanomas=14, carcinomas=20, benign=20)
    result = gate.compare(active, but(active, 0, 0.06), draws=50)
    assert (result.verdict, verdicts(result)["sensitivity"]) == ("failed", "inconclusive")
    assert "It finds melanoma less often" in result.reason
    assert "needs 73 malignant and 35 benign ones that are new to the model. It has 34 malignant" in result.reason


def test_where_one_class_is_malignant_there_is_none_to_hide() -> None:
    labels = np.repeat([1, 0], [100, 100])
    active = Scored(np.eye(2)[labels], labels, np.arange(200), 0.5, BINARY)
    result = gate.compare(active, active, draws=50)
    assert (result.verdict, result.reason) == ("passed", "No loss beyond the margins.")
    assert [row for row in result.rows if row.metric.startswith("sensitivity_")] == []
