"""What an operator reads of a gate before they decide."""

import re

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


def test_too_few_lesions_to_decide_by_are_not_told_as_a_perfect_score(operator: Client, run: TrainingRun) -> None:
    perfect = {"value": 1.0, "low": 0.207, "high": 1.0}
    measured = {
        "images": 2,
        "lesions": 2,
        "malignant_lesions": 1,
        "dropped_seen": 0,
        "metrics": {"sensitivity": perfect},
    }
    run.parent.manifest["metrics"] = measured
    run.parent.save()
    page = operator.get("/models/").content.decode()
    assert page.count("too few to say") == 1
    assert "0.207 to 1.000" in page
    assert ">1.000<" not in page
    run.parent.manifest["metrics"] = measured | {"lesions": 300, "malignant_lesions": 100}
    run.parent.save()
    page = operator.get("/models/").content.decode()
    assert "too few to say" not in page
    assert ">1.000<" in page


@pytest.mark.parametrize(("verdict", "main"), [("passed", True), ("inconclusive", False), ("failed", False)])
def test_the_main_button_promotes_only_what_passed(
    operator: Client, run: TrainingRun, verdict: str, main: bool
) -> None:
    TrainingRun.objects.filter(pk=run.pk).update(gate={**(run.gate or {}), "verdict": verdict})
    for address in ("", f"runs/{run.pk}/", f"releases/{run.candidate_id}/"):
        page = operator.get(f"/models/{address}").content.decode()
        button = re.search(r'<a class="([^"]+)" href="/models/releases/\d+/promote/">', page)
        assert button is not None
        assert ("btn-primary" in button[1]) == main, address


def test_a_phone_reads_what_each_cell_of_the_lists_is(operator: Client, run: TrainingRun) -> None:
    ReleaseFactory(state=ModelRelease.State.RETIRED, decided_at=run.created_at, decision_note="Older.")
    for address, labels in (
        ("", ["Release", "State", "Decided", "Note"]),
        ("runs/", ["Started", "State", "From", "Images", "Started by", "Gate", "Candidate"]),
    ):
        page = operator.get(f"/models/{address}").content.decode()
        table = page[page.index('<table class="table table-vcenter card-table table-mobile-md') :]
        assert re.findall('data-label="([^"]+)"', table[: table.index("</table>")]) == labels
