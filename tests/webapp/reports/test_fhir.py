"""Bundles that any FHIR R4 system can read: valid, complete, and never more certain than the clinic."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone
from fhirclient.models.bundle import Bundle

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    OrganisationFactory,
    PatientFactory,
    ReleaseFactory,
)
from tests.webapp.api.clinic import Clinic, good
from tests.webapp.inference.scenes import answer_all, outcome, submitted_batch
from tests.webapp.reports.scenes import answered, refused, reviewed
from webapp.audit.models import Event
from webapp.cases.models import NOT_A_LESION, Batch, Case
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult
from webapp.inference.services import finish
from webapp.pages.words import NOTICE
from webapp.reports import fhir

pytestmark = pytest.mark.django_db

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "fhir.md"


def bundle(of: Case | Batch) -> dict[str, Any]:
    """The Bundle as a client gets it; it must be valid R4, and each reference in it must lead somewhere."""
    kind = "cases" if isinstance(of, Case) else "batches"
    response = Clinic(of.organisation).get(f"/{kind}/{of.pk}/fhir")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/fhir+json"
    found: dict[str, Any] = json.loads(b"".join(response))
    assert Bundle(found, strict=True).as_json() == found  # raises for what R4 does not know, or lacks
    entries = found.get("entry", [])
    addresses = [entry["fullUrl"] for entry in entries]
    assert len(set(addresses)) == len(addresses)
    assert set(references(found)) <= set(addresses)
    for entry in entries:
        assert entry["fullUrl"] == f"urn:uuid:{entry['resource']['id']}"
    return found


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if isinstance(node, dict):
        own = [node["reference"]] if "reference" in node else []
        return own + [found for item in node.values() for found in references(item)]
    return []


def resources(of: Case | Batch, kind: str) -> list[dict[str, Any]]:
    found = [entry["resource"] for entry in bundle(of).get("entry", [])]
    return [resource for resource in found if resource["resourceType"] == kind]


@pytest.mark.parametrize(("capture", "method"), [("dermoscopic", {"text": "Dermoscopic"}), ("unknown", None)])
def test_how_a_picture_was_taken_is_said_only_where_somebody_said_it(
    capture: str, method: dict[str, str] | None
) -> None:
    [observation] = resources(answered(capture=capture), "Observation")
    assert observation.get("method") == method
    assert any("learnt from dermoscopic pictures" in note["text"] for note in observation["note"]) == (method is None)


def test_a_case_is_a_report_an_observation_and_the_release_as_its_device() -> None:
    case = answered(external_id="A-1", capture=Case.Capture.PHONE)
    result = case.results.get()
    [report], [observation], [device] = (
        resources(case, kind) for kind in ("DiagnosticReport", "Observation", "Device")
    )
    assert (report["status"], observation["status"]) == ("preliminary", "preliminary")
    assert report["identifier"][0]["value"] == "A-1"
    assert report["subject"] == observation["subject"]
    assert report["subject"]["identifier"]["value"] == case.patient.external_id
    assert report["result"] == [{"reference": f"urn:uuid:{observation['id']}"}]
    assert report["conclusion"].startswith("Urgent referral. Refer to a dermatologist")
    assert "Not yet reviewed by a clinician." in report["conclusion"]
    assert report["conclusionCode"][0]["coding"][0]["code"] == "urgent_referral"
    assert observation["device"]["reference"] == f"urn:uuid:{device['id']}"
    assert device["deviceName"] == [{"name": result.release.name, "type": "model-name"}]
    assert device["identifier"][0]["value"] == result.release.bundle_sha256
    assert observation["valueCodeableConcept"]["coding"][0]["code"] == "MEL"
    values = {
        component["code"]["coding"][0]["code"]: component["valueQuantity"] for component in observation["component"]
    }
    assert {code: quantity["value"] for code, quantity in values.items()} == {
        "p-malignant": 0.74, "p-malignant-sd": 0.05, **result.probabilities
    }  # fmt: skip
    assert all(quantity["code"] == "1" and quantity["system"] == fhir.UCUM for quantity in values.values())
    notes = [note["text"] for note in observation["note"]]
    assert notes[0].startswith("Phone photo")
    assert notes[-1] == NOTICE
    assert NOTICE in report["conclusion"]
    event = Event.objects.filter(action="case.results_exported").latest("pk")
    assert (event.object_id, event.detail) == (str(case.pk), "FHIR")


def test_it_is_final_once_a_clinician_has_released_it() -> None:
    case = answered(pictures=0)
    Case.objects.filter(pk=case.pk).update(released_at=timezone.now())
    [automatic] = resources(case, "DiagnosticReport")
    assert automatic["status"] == "preliminary"
    [report] = resources(reviewed(case), "DiagnosticReport")
    [observation] = resources(case, "Observation")
    assert (report["status"], observation["status"]) == ("final", "final")
    assert report["id"] == automatic["id"]
    assert report["resultsInterpreter"][0]["display"] == "dr@clinic.example"


def test_what_was_released_automatically_stays_preliminary_whoever_releases_it_again() -> None:
    clinic = OrganisationFactory(release_policy="automatic")
    case = submitted_batch([1], organisation=clinic).cases.get()
    answer_all(ReleaseFactory())
    released = good(Clinic(clinic).post(f"/cases/{case.pk}/release"))
    assert released["review"]["released_at"]
    assert released["review"]["reviewed_at"] is None
    [report] = resources(case, "DiagnosticReport")
    assert report["status"] == "preliminary"


def test_without_an_answer_there_is_no_observation() -> None:
    [report] = resources(refused(BatchFactory(completed=True)), "DiagnosticReport")
    assert report["status"] == "cancelled"
    assert not {"result", "conclusion", "issued"} & report.keys()
    waiting = CaseFactory(batch=BatchFactory(submitted=True))
    assert resources(waiting, "DiagnosticReport")[0]["status"] == "registered"
    assert "entry" not in bundle(BatchFactory())


def test_of_a_cancelled_batch_what_is_at_the_model_is_registered_until_it_has_ended() -> None:
    batch = submitted_batch([1, 1])
    token, [job] = claim_jobs(limit=1)
    good(Clinic(batch.organisation).post(f"/batches/{batch.pk}/cancel"))
    bundles: list[Case | Batch] = [batch, *batch.cases.all()]
    for of in bundles:
        for report in resources(of, "DiagnosticReport"):
            at_the_model = report["id"] == str(job.image.case_id)
            assert report["status"] == ("registered" if at_the_model else "cancelled")
            assert ("No result yet" in report["text"]["div"]) == at_the_model
    finish(token=token, ends=[(job, outcome(ReleaseFactory()))])
    reports = resources(batch, "DiagnosticReport")
    assert sorted(report["status"] for report in reports) == ["cancelled", "preliminary"]


def test_words_of_people_stay_words() -> None:
    case = answered(pictures=0, external_id='<b>&"1"</b>', anatom_site="]]> 背中")
    [report] = resources(case, "DiagnosticReport")
    narrative = ElementTree.fromstring(report["text"]["div"])  # noqa: S314
    assert narrative.tag == "{http://www.w3.org/1999/xhtml}div"
    assert report["identifier"][0]["value"] == '<b>&"1"</b>'
    assert resources(case, "Observation")[0]["bodySite"] == {"text": "]]> 背中"}


def test_the_ids_of_two_clinics_never_mix() -> None:
    first, second = (answered(BatchFactory(completed=True), pictures=0) for _ in range(2))
    Case.objects.filter(pk=second.pk).update(
        patient=PatientFactory(organisation=second.organisation, external_id=first.patient.external_id)
    )
    subjects = [resources(case, "DiagnosticReport")[0]["subject"]["identifier"] for case in (first, second)]
    assert subjects[0]["value"] == subjects[1]["value"]
    assert subjects[0]["system"] != subjects[1]["system"]


def test_a_batch_is_one_bundle_in_a_constant_number_of_queries() -> None:
    batch = BatchFactory(completed=True)
    release = answered(batch).results.get().release
    list(fhir.batch_bundle(batch))  # a process asks once for what it must know of a release
    counts = []
    for more in (1, 30):
        for _ in range(more):
            CaseResultFactory(case=CaseFactory(batch=batch), release=release)
        with CaptureQueriesContext(connection) as queries:
            list(fhir.batch_bundle(batch))
        counts.append(len(queries))
    assert counts[0] == counts[1]
    refused(batch)
    kinds = Counter(entry["resource"]["resourceType"] for entry in bundle(batch)["entry"])
    assert kinds == {"DiagnosticReport": 33, "Observation": 32, "Device": 1}
    assert Event.objects.get(action="batch.results_exported").detail == "FHIR"


def test_a_case_says_the_same_alone_and_in_its_batch() -> None:
    batch = BatchFactory(completed=True)
    _plain, partly, insisted, binary, raised, _refused = (
        *(answered(batch) for _ in range(2)),
        *(answered(batch, pictures=2) for _ in range(3)),
        refused(batch),
    )
    ImageFactory(case=partly, ready=True)
    insisted.images.filter(pk=insisted.images.all()[1].pk).update(quality=[{"code": NOT_A_LESION}])
    shares = {"BENIGN": 0.26, "MALIGNANT": 0.74}
    binary.results.update(top_class="MALIGNANT", probabilities=shares)
    Case.objects.filter(pk=binary.pk).update(top_class="MALIGNANT")
    later = CaseResultFactory(case=reviewed(raised))
    Case.objects.filter(pk=raised.pk).update(answer=raised.answer, raised_at=later.created_at)

    within = {entry["fullUrl"]: entry for entry in bundle(batch)["entry"]}

    for case in batch.cases.all():
        alone = {entry["fullUrl"]: entry for entry in bundle(case)["entry"]}
        assert alone == {address: within[address] for address in alone}
    said = json.dumps(list(within.values()))
    assert said.count("Picture 2 has no answer by the model: the result leaves it out.") == 1
    assert said.count("The model saw no lesion in picture 2") == 1
    assert said.count("was answered in other classes") == 2
    assert said.count("is more urgent: decide") == 2  # in the text and in the conclusion


@override_settings(SITE_URL="https://lesions.example")
def test_the_documented_example_is_what_is_given() -> None:
    moment = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    batch = BatchFactory(completed=True, organisation=OrganisationFactory(pk=7, name="Harbour Clinic"))
    patient = PatientFactory(organisation=batch.organisation, external_id="P-7")
    case_id = uuid.UUID("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d")
    case = CaseFactory(pk=case_id, batch=batch, patient=patient, external_id="A-1", anatom_site="back")
    Case.objects.filter(pk=case.pk).update(created_at=moment)
    release = ReleaseFactory(pk=3, name="20261121-release", bundle_sha256="4f" * 32, code_version="1.4.0")
    result = CaseResultFactory(case=case, release=release)
    CaseResult.objects.filter(pk=result.pk).update(created_at=moment + timedelta(seconds=8))
    given = bundle(case) | {"timestamp": "2026-11-21T10:00:00.000+00:00"}
    assert json.loads(EXAMPLE.read_text().split("```json\n")[1].split("```")[0]) == given
