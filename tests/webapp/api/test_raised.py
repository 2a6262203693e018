"""A clinic that works by software learns that a newer release calls a released case more urgent."""

import csv
import json
from datetime import datetime
from typing import Any

import pytest

from tests.factories import CaseFactory, CaseResultFactory
from tests.webapp.api.clinic import Clinic, good
from tests.webapp.reports.scenes import answered, reviewed
from webapp.cases.models import Case
from webapp.reports.batch_report import batch_report

pytestmark = pytest.mark.django_db
SAID = "is more urgent: decide whether to see the patient again."


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


@pytest.fixture
def case(clinic: Clinic) -> Case:
    """A case of the clinic whose patient was told to watch it, with an urgent answer since."""
    batch = CaseFactory(batch__organisation=clinic.organisation, batch__completed=True).batch
    found = reviewed(answered(batch, advice="self_monitor", malignant=0.03))
    found.refresh_from_db()
    CaseResultFactory(case=found, advice="urgent_referral", malignant=0.8)
    return found


@pytest.fixture
def since(case: Case) -> datetime:
    """When the more urgent answer came."""
    assert case.raised_at is not None
    return case.raised_at


def exported(clinic: Clinic, case: Case, what: str) -> str:
    answer = clinic.get(f"/batches/{case.batch_id}/{what}")
    return b"".join(answer.streaming_content).decode()


def test_such_cases_are_listed_alone_and_say_since_when(clinic: Clinic, case: Case, since: datetime) -> None:
    [raised] = good(clinic.get("/cases", raised="true"))["results"]
    [other] = good(clinic.get("/cases", raised="false"))["results"]

    assert (raised["id"], raised["review"]["state"]) == (str(case.pk), "released")
    assert raised["review"]["raised_at"] == since.isoformat().replace("+00:00", "Z")
    assert other["review"]["raised_at"] is None


def test_every_form_of_the_results_says_since_when(clinic: Clinic, case: Case, since: datetime) -> None:
    told: dict[str, Any] = {
        "results.csv": {
            row["case"]: row["raised_at"] for row in csv.DictReader(exported(clinic, case, "results.csv").splitlines())
        },
        "results.json": {
            row["case"]: row["raised_at"] for row in json.loads(exported(clinic, case, "results.json"))["results"]
        },
    }
    other = Case.objects.exclude(pk=case.pk).get()
    assert told["results.csv"] == {str(case.pk): since.isoformat(), str(other.pk): ""}
    assert told["results.json"].keys() == told["results.csv"].keys()
    assert (bool(told["results.json"][str(case.pk)]), told["results.json"][str(other.pk)]) == (True, None)


def test_what_people_read_says_so_too(clinic: Clinic, case: Case) -> None:
    entries = json.loads(exported(clinic, case, "fhir"))["entry"]
    [report] = [entry["resource"] for entry in entries if entry["resource"]["id"] == str(case.pk)]

    assert SAID in report["conclusion"]
    assert SAID in report["text"]["div"]
    assert report["status"] == "final"
    groups = batch_report(case.batch).data["groups"]
    assert [row[-1] for group in groups for row in group["rows"]] == ["More urgent since", ""]
