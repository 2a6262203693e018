"""Every state and advice has a word, an icon that is vendored, and a colour; numbers are said carefully."""

import pytest
from django.db import models

from ml.advice import Advice
from webapp.cases.models import Archive, Batch, Image
from webapp.inference.models import Job
from webapp.notify.models import Message
from webapp.pages.navigation import ITEMS
from webapp.pages.templatetags.lens import duration, icon
from webapp.pages.words import ADVICE, STATES, class_name, counted, percent, percentage_points, spread
from webapp.registry.models import ModelRelease, TrainingRun


@pytest.mark.parametrize("owner", [Batch, Image, Job, Message, TrainingRun, ModelRelease])
def test_every_state_has_words(owner: type[models.Model]) -> None:
    assert set(owner.State.values) <= STATES.keys()  # type: ignore[attr-defined]


def test_every_advice_has_words() -> None:
    assert {advice.value for advice in Advice} == ADVICE.keys()
    assert Archive.State.STORED in STATES


def test_every_icon_is_there() -> None:
    names = {words.icon for words in STATES.values()} | {words.icon for words in ADVICE.values()}
    names |= {name for items in ITEMS.values() for _, _, name in items}
    for name in names:
        assert 'aria-hidden="true"' in icon(name)


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "under 1%"), (0.004, "under 1%"), (0.126, "13%"), (0.994, "over 99%"), (1.0, "over 99%")]
)
def test_a_probability_never_claims_certainty(value: float, said: str) -> None:
    assert percent(value) == said


@pytest.mark.parametrize(
    ("malignant", "uncertainty", "said"),
    [
        (0.74, 0.05, " ± 5"),
        (0.96, 0.1, " (86–100)"),
        (0.03, 0.05, " (0–8)"),
        (0.5, 0.5, " ± 50"),
        (0.001, 0.004, " ± under 1"),
        (0.96, None, ""),
    ],
)
def test_an_uncertainty_passes_neither_0_nor_100(malignant: float, uncertainty: float | None, said: str) -> None:
    assert spread(malignant, uncertainty) == said


def test_small_words() -> None:
    assert [percentage_points(value) for value in (0.004, 0.01, 0.054)] == [
        "under 1 percentage point",
        "1 percentage point",
        "5 percentage points",
    ]
    assert [duration(1), duration(59), duration(60), duration(7200)] == [
        "1 second",
        "59 seconds",
        "1 minute",
        "2 hours",
    ]
    assert [counted(count, "image") for count in (0, 1, 2000)] == ["0 images", "1 image", "2,000 images"]
    assert [class_name("MEL"), class_name("cannot_tell")] == ["Melanoma", "Cannot tell"]
