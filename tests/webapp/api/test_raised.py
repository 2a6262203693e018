"""A clinic that works by software learns that a newer release calls a released case more urgent."""

import csv
import json
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import BatchFactory, CaseFactory, CaseResultFactory
from tests.webapp.api.clinic import Clinic, good, problem
from tests.webapp.api.document import answer_of
from tests.webapp.reports.scenes import answered, reviewed
from webapp.cases.models import Case
from webapp.inference.selectors import with_answers
from webapp.reports.batch_report import batch_report
from webapp.reports.case_report import case_report
from webapp.reports.wording import when

pytestmark = pytest.mark.django_db
SAID = "is more urgent: decide whether to see the patient again."
AGREED = "Dermatologists who labelled a picture of this case settled on Melanoma, which is more urgent"


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


def test_reports_name_both_a_later_answer_and_the_dermatologists(clinic: Clinic, case: Case, since: datetime) -> None:
    by_opinion, now = answered(case.batch, advice="self_monitor", malignant=0.03), timezone.now()
    Case.objects.filter(pk=by_opinion.pk).update(released_at=now, raised_at=now)
    Case.objects.filter(pk__in=[case.pk, by_opinion.pk]).update(opinion="BCC")
    agreed = "settled on Basal cell carcinoma, which is more urgent"
    both = f"{agreed}. An answer of {when(since)} {SAID.rstrip('.')}"

    of_batch = json.loads(exported(clinic, case, "fhir"))["entry"]
    concluded = {found["resource"]["id"]: found["resource"].get("conclusion") for found in of_batch}
    for raised, words in ((case, both), (by_opinion, f"{agreed}: decide whether to see the patient again")):
        found = with_answers(Case.objects.filter(pk=raised.pk)).get()
        assert case_report(found).data["review"]["headline"].endswith(words)
        assert f"{words}." in concluded[str(raised.pk)]


def test_software_learns_what_dermatologists_agree_on_and_says_that_it_was_read(clinic: Clinic) -> None:
    batch = BatchFactory(organisation=clinic.organisation, completed=True)
    case = answered(batch, advice="self_monitor", malignant=0.03)
    Case.objects.filter(pk=case.pk).update(opinion="MEL")
    assert good(clinic.get(f"/cases/{case.pk}"))["review"]["opinion"] == "MEL"
    [row] = csv.DictReader(exported(clinic, case, "results.csv").splitlines())
    assert row["opinion"] == "MEL"
    table = json.loads(exported(clinic, case, "results.json"))
    assert not list(answer_of("/api/v1/batches/{id}/results.json", "get", 200).iter_errors(table))
    assert table["results"][0]["opinion"] == "MEL"

    resources = [entry["resource"] for entry in json.loads(exported(clinic, case, "fhir"))["entry"]]
    said = {resource["resourceType"]: resource for resource in resources}
    assert AGREED in said["Observation"]["note"][0]["text"]
    assert AGREED in said["DiagnosticReport"]["conclusion"]
    assert AGREED in said["DiagnosticReport"]["text"]["div"]
    case = with_answers(Case.objects.filter(pk=case.pk)).get()
    assert AGREED in case_report(case).data["review"]["headline"]
    [group] = batch_report(batch).data["groups"]
    assert group["rows"][0][-1] == "Dermatologists: more urgent"

    for read in ({}, {"opinion": "BCC"}):
        assert problem(clinic.post(f"/cases/{case.pk}/release", read), 409)["code"] == "opinion_unread"
    assert good(clinic.post(f"/cases/{case.pk}/release", {"opinion": "MEL"}))["review"]["state"] == "released"
    assert good(clinic.get("/cases", raised="true"))["results"] == []
