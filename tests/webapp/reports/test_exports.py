"""A batch's results as a table: what a row says, and that no spreadsheet runs it."""

import csv
import io
import json

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.factories import BatchFactory, CaseFactory, CaseResultFactory, ImageFactory, JobFactory, PatientFactory
from tests.webapp.api.clinic import Clinic, good
from tests.webapp.api.document import answer_of
from webapp.audit.services import SYSTEM
from webapp.cases.models import NOT_A_LESION, Case, Image
from webapp.cases.services import cancel_batch
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult
from webapp.reports import exports
from webapp.spreadsheets import FORMULA

pytestmark = pytest.mark.django_db


def assert_documented(text: str) -> None:
    """That JSON is what the OpenAPI document says of it."""
    schema = answer_of("/api/v1/batches/{id}/results.json", "get", 200)
    for error in schema.iter_errors(json.loads(text)):
        raise AssertionError(f"{error.json_path} {error.message}")


def test_a_row_says_how_sure_the_answer_is_who_gave_it_and_whether_it_was_reviewed() -> None:
    batch, now = BatchFactory(completed=True), timezone.now()
    reviewed = CaseFactory(batch=batch, external_id="reviewed", reviewed_at=now, released_at=now)
    automatic = CaseFactory(batch=batch, external_id="automatic", released_at=now)
    waiting = CaseFactory(batch=batch, external_id="waiting")
    CaseFactory(batch=batch, external_id="none")
    results = {case.external_id: CaseResultFactory(case=case) for case in (reviewed, automatic, waiting)}
    assert_documented("".join(exports.as_json(batch)))
    rows = {row["case_id"]: row for row in csv.DictReader(io.StringIO("".join(exports.as_csv(batch))))}
    assert {
        name: (row["review"], bool(row["reviewed_at"]), bool(row["released_at"])) for name, row in rows.items()
    } == {
        "reviewed": ("released", True, True),
        "automatic": ("released", False, True),
        "waiting": ("waiting", False, False),
        "none": ("no_result", False, False),
    }
    for name, result in results.items():
        assert (rows[name]["p_malignant"], rows[name]["uncertainty"]) == ("0.74", "0.05")
        assert rows[name]["release_sha256"] == result.release.bundle_sha256


@pytest.mark.django_db(transaction=True)
def test_of_a_cancelled_batch_what_is_at_the_model_is_said_to_be_in_progress(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    batch = BatchFactory(submitted=True, remaining=3)
    running, queued, *others = CaseFactory.create_batch(5, batch=batch)
    JobFactory(image__case=running)
    JobFactory.create_batch(2, image__case=queued)
    claim_jobs(limit=1)
    cancel_batch(actor=SYSTEM, batch=batch)
    batch.refresh_from_db()

    with django_assert_num_queries(3):  # cases, images and jobs, of whatever number
        rows = json.loads("".join(exports.as_json(batch)))["results"]

    said = {row["case"]: row["status"] for row in rows}
    assert said.pop(str(running.pk)) == "in_progress"
    assert said == {str(case.pk): "cancelled" for case in (queued, *others)}


def test_a_row_says_how_many_of_its_pictures_were_answered_though_the_model_saw_no_lesion() -> None:
    batch = BatchFactory(completed=True)
    flags = [{"code": NOT_A_LESION, "advice": "We see no lesion in this picture.", "value": 1}]
    insisted, seen, refused = (CaseFactory(batch=batch, external_id=name) for name in ("insisted", "seen", "refused"))
    for case in (insisted, seen, refused):
        CaseResultFactory(case=case)
        ImageFactory(case=case, ready=True)
    ImageFactory(case=insisted, ready=True, quality=flags)
    rejected = {"state": Image.State.REJECTED, "reason": NOT_A_LESION, "ended_at": timezone.now()}
    ImageFactory(case=refused, quality=flags, **rejected)

    text = "".join(exports.as_json(batch))

    assert_documented(text)
    said = {row["case_id"]: row["images_unrecognised"] for row in json.loads(text)["results"]}
    assert said == {"insisted": 1, "seen": 0, "refused": 0}


@pytest.mark.parametrize("start", list(FORMULA))
def test_no_text_of_a_client_is_a_formula(start: str) -> None:
    evil = f'{start}HYPERLINK("https://evil.example";"click")'
    batch = BatchFactory(completed=True)
    fields = {"external_id": evil, "lesion_id": evil, "anatom_site": evil}
    CaseFactory(batch=batch, patient=PatientFactory(organisation=batch.organisation, external_id=evil), **fields)
    [row] = csv.DictReader(io.StringIO("".join(exports.as_csv(batch)), newline=""))
    for column in ("case_id", "patient_id", "lesion_id", "anatom_site"):
        assert row[column] == f"'{evil}", column
    assert not any(cell.startswith(FORMULA) for cell in row.values())
    assert Case.objects.get().external_id == evil  # only the table is guarded


@pytest.mark.parametrize("form", ["json", "csv"])
def test_the_answer_that_an_export_names_is_the_one_that_is_released(form: str) -> None:
    clinic = Clinic()
    batch = BatchFactory(completed=True, organisation=clinic.organisation)
    result = CaseResultFactory(case__batch=batch)
    when = result.created_at.replace(microsecond=123_456)  # `auto_now_add` says when
    CaseResult.objects.update(created_at=when)
    answer = clinic.get(f"/batches/{batch.pk}/results.{form}")
    text = b"".join(answer.streaming_content).decode()
    [row] = json.loads(text)["results"] if form == "json" else csv.DictReader(io.StringIO(text))
    good(clinic.post(f"/cases/{row['case']}/release", {"result": row["answered_at"]}))
