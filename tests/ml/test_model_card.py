"""What a card says of a bundle."""

from pathlib import Path
from typing import Any

import pytest

from ml import model_card
from ml.assess.subgroups import Subgroup
from ml.bundle import Member
from ml.metrics import ALL_METRICS
from ml.metrics.measured import LABELS, Measured
from ml.model_card import LABELLED_HERE

NOTHING_MEASURED: dict[str, Any] = {
    "images": 0,
    "lesions": 0,
    "malignant_lesions": 0,
    "dropped_seen": 0,
    "images_of_class": {},
    "metrics": {},
}
LIMITS = {"urgent_referral": 0.6, "routine_referral": 0.3}


@pytest.mark.parametrize(("count", "claimed"), [(1, False), (2, True)])
def test_one_network_alone_claims_no_spread(count: int, claimed: bool) -> None:
    members = [Member("tiny", Path("tiny.npz"), (64, 64), ("whole",))] * count
    card = model_card.write(
        name="one", members=members, thresholds=LIMITS, origin=[], evaluation=NOTHING_MEASURED, licence=""
    )
    assert ("its standard deviation over the" in card) == claimed
    assert ("P(malignant) and a heatmap" in card) != claimed


def test_a_card_says_among_which_pictures_its_probabilities_hold() -> None:
    card = model_card.write(
        name="one",
        members=[],
        thresholds=LIMITS,
        malignant_share=0.195,
        origin=[],
        evaluation=NOTHING_MEASURED,
        licence="",
    )
    assert "Its probabilities hold where 20 % of the pictures are malignant" in card
    assert "Where fewer are malignant, the true probability is lower than the one given." in card


def test_a_card_keeps_the_capitals_of_names() -> None:
    card = model_card.write(
        name="one", members=[], thresholds=LIMITS, origin=[], evaluation=NOTHING_MEASURED, licence=""
    )
    assert "AKIEC (actinic keratosis or Bowen's disease)" in card


def test_a_card_says_that_it_is_for_one_lesion() -> None:
    card = model_card.write(
        name="one", members=[], thresholds=LIMITS, origin=[], evaluation=NOTHING_MEASURED, licence=""
    )
    assert "Several get one answer together." in card


@pytest.mark.parametrize("lone", [0, 900])
def test_a_card_does_not_claim_lesions_that_nobody_knows(lone: int) -> None:
    card = model_card.write(
        name="one",
        members=[],
        thresholds=LIMITS,
        origin=[],
        evaluation=NOTHING_MEASURED,
        licence="",
        lone_images=lone,
    )
    assert "share no lesion with anything it was fitted to" in card
    assert "a lesion that the model takes for no\nlesion counts as an error." in card
    assert ("Of 900 images of the data it is not known which show one lesion" in card) == bool(lone)


@pytest.mark.parametrize("licence", ["CC BY-NC 4.0", f"CC BY-NC 4.0 {LABELLED_HERE}"])
def test_a_card_names_the_images_that_people_labelled(licence: str) -> None:
    """Nobody says what these show; of published ones it is known."""
    card = model_card.write(
        name="one", members=[], thresholds=LIMITS, origin=[], evaluation=NOTHING_MEASURED, licence=licence
    )
    assert ("Phone photos and dark skin are not measured." in card) == (licence == "CC BY-NC 4.0")
    assert ("then from images that were labelled where it was retrained" in card) == (LABELLED_HERE in licence)


def test_a_card_names_the_classes_that_no_image_shows() -> None:
    """What the metrics say of seven classes is of fewer then."""
    found = {**NOTHING_MEASURED, "images_of_class": {"MEL": 2, "NV": 3, "DF": 0, "VASC": 0}}
    card = model_card.write(name="one", members=[], thresholds=LIMITS, origin=[], evaluation=found, licence="")
    assert "\nNo image shows DF, VASC: every metric is of the other classes.\n" in card


def test_a_card_repeats_the_nearest_ancestor_alone() -> None:
    """Else every generation would make it longer."""
    told = [
        {"name": f"release-{age}", "bundle": f"{age}" * 64, "origin": [f"Fitted to the images of {age}."]}
        for age in (3, 2, 1)
    ]
    card = model_card.write(
        name="four",
        members=[],
        thresholds=LIMITS,
        origin=["Fitted to the images of 4."],
        evaluation=NOTHING_MEASURED,
        licence="",
        ancestors=told,
    )
    own, inherited = card.split("\n## What it goes on from\n")
    assert "- Fitted to the images of 4.\n" in own
    assert "Fitted to the images of 3." not in own
    assert "### release-3 (bundle 333333333333)\n\n- Fitted to the images of 3.\n" in inherited
    assert "Before it: release-2 (bundle 222222222222), release-1 (bundle 111111111111)." in inherited
    assert "images of 2" not in card


def test_every_metric_has_a_name() -> None:
    assert set(LABELS) == set(ALL_METRICS)


def test_a_card_says_what_it_is_worth_on_lesions_that_were_cut_out() -> None:
    """Those that nobody suspected make the figures of all look better."""
    specificity = {"specificity": Measured(0.408, 0.358, 0.46)}
    groups = [
        Subgroup("dx_type", "follow_up", 543, 543, 0, {"specificity": Measured(0.993, 0.985, 0.998)}),
        Subgroup("dx_type", "histo", 788, 465, 175, specificity),
    ]
    card = model_card.write(
        name="one",
        members=[],
        thresholds=LIMITS,
        origin=[],
        evaluation={**NOTHING_MEASURED, "images": 1482},
        licence="",
        subgroups=groups,
    )
    assert "On 788 of them, of 465 lesions (175 malignant) whose class" in card
    assert "Specificity for malignant at the operating point 0.408 (0.358 to 0.460)." in card
    assert "0.993" not in card
