"""What an operator reads of a gate before they decide."""

import pytest
from django.test import Client

from tests.factories import MembershipFactory, ReleaseFactory, RunFactory
from webapp.accounts.models import Membership
from webapp.registry.models import ModelRelease, TrainingRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(MembershipFactory(role=Membership.Role.OPERATOR).user)
    return client


@pytest.fixture
def run() -> TrainingRun:
    found: TrainingRun = RunFactory(evaluated=True, parent=ReleaseFactory(active=True))
    return found


def page_of(operator: Client, run: TrainingRun) -> str:
    assert run.candidate is not None
    return operator.get(f"/models/releases/{run.candidate.pk}/promote/").content.decode()


def test_each_malignant_class_is_told_and_one_that_is_not_measured_needs_a_reason(
    operator: Client, run: TrainingRun
) -> None:
    assert run.gate is not None
    row = {**run.gate["rows"][0], "metric": "sensitivity_MEL", "verdict": "inconclusive"}
    run.gate |= {
        "verdict": "inconclusive",
        "class_lesions": [{"class": code, "lesions": n} for code, n in (("MEL", 6), ("BCC", 150), ("AKIEC", 0))],
        "class_lesions_needed": 10,
        "rows": [*run.gate["rows"], row],
    }
    run.save()
    page = page_of(operator, run)
    assert "Sensitivity for melanoma, at the operating point" in page
    assert "cannot pass with fewer than 10 lesions of one" in page
    assert "6 of melanoma, 150 of basal cell carcinoma, 0 of actinic keratosis or Bowen&#x27;s disease." in page
    assert "Why should it serve all the same?" in page
    assert run.candidate is not None
    operator.post(f"/models/releases/{run.candidate.pk}/promote/", {"note": "Melanomas were compared by hand."})
    run.candidate.refresh_from_db()
    assert run.candidate.state == ModelRelease.State.ACTIVE


def test_a_gate_of_before_classes_were_told_alone_is_shown_as_it_was(operator: Client, run: TrainingRun) -> None:
    assert run.gate is not None
    assert "class_lesions" not in run.gate
    page = page_of(operator, run)
    assert "The candidate passes if the whole interval lies above" in page
    assert "lesions of one" not in page
