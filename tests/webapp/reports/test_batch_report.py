"""A batch as a PDF: its counts, its cases in order, its failures with their reasons."""

import pypdfium2
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import BatchFactory, ImageFactory
from tests.webapp.api.clinic import Clinic
from tests.webapp.inference.scenes import submitted_batch
from tests.webapp.reports.pdf import accessible, text
from tests.webapp.reports.scenes import answered, refused, reviewed
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.models import NOT_A_LESION, Batch, Image
from webapp.cases.services import cancel_batch
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult
from webapp.inference.reruns import rerun_failed
from webapp.inference.services import finish
from webapp.reports.batch_report import batch_report
from webapp.reports.fhir import batch_bundle
from webapp.reports.typesetting import Document, as_pdf

pytestmark = pytest.mark.django_db


def test_it_sums_up_and_lists_the_most_urgent_first() -> None:
    batch = BatchFactory(completed=True, name="Tuesday")
    for name, advice, malignant in (
        ("mild", "self_monitor", 0.02),
        ("worse", "urgent_referral", 0.97),
        ("bad", "urgent_referral", 0.71),
        ("so-so", "routine_referral", 0.3),
    ):
        case = answered(batch, external_id=name, malignant=malignant, advice=advice)
    reviewed(case)
    refused(batch)
    response = Clinic(batch.organisation).get(f"/batches/{batch.pk}/report.pdf")
    assert response.status_code == 200
    assert response.headers["Content-Disposition"] == f'inline; filename="batch-{batch.pk}.pdf"'
    assert accessible(response.content)
    words = text(response.content)
    in_order = [
        "Tuesday", "Urgent referral 2\n", "Routine referral 1\n", "Self-monitoring 1\n", "No result 1\n", "Not yet 3\n",
        "Reviewed 1\n", "Usable 4\n", "Not usable 1\n", "Blurred 1\n",
        "Urgent referral (2)", "worse", "97% (92–100)", "bad", "71% ± 5",
        "Routine referral (1)", "so-so", "Reviewed",
        "Self-monitoring (1)", "mild", "2% (0–7)", "No result (1)", "Not usable: blurred",
    ]  # fmt: skip
    at = 0
    for piece in in_order:
        found = words.find(piece, at)
        assert found >= at, f"{piece!r} is not in {words[at:]!r}"
        at = found + 1
    document = pypdfium2.PdfDocument(response.content)
    assert len(document) == 1  # an advice begins where the one before ends
    assert document.get_metadata_dict()["Title"] == "Tuesday"
    event = Event.objects.get(action="batch.results_exported")
    assert (event.object_id, event.detail) == (str(batch.pk), "PDF")


@pytest.mark.parametrize(("reason", "who"), [(NOT_A_LESION, "model"), ("no_lesion", "quality check")])
def test_no_picture_is_said_to_show_no_lesion(reason: str, who: str) -> None:
    """Somebody did not recognise it, which is no finding."""
    batch = BatchFactory(completed=True)
    refused(batch).images.update(reason=reason)
    words = " ".join(text(as_pdf(batch_report(batch))).split())
    assert f"The {who} saw no lesion 1" in words
    assert f"Not usable: the {who} saw no lesion" in words


def test_a_class_says_that_the_model_saw_no_lesion() -> None:
    batch = BatchFactory(completed=True)
    flags = [{"code": NOT_A_LESION, "advice": "We see no lesion in this picture.", "value": 1}]
    insisted, other = answered(batch, malignant=0.9), answered(batch, malignant=0.8)
    insisted.images.update(quality=flags)
    rejected = {"state": Image.State.REJECTED, "reason": NOT_A_LESION, "ended_at": timezone.now()}
    ImageFactory(case=other, quality=flags, **rejected)
    words = " ".join(text(as_pdf(batch_report(batch))).split())
    assert words.count("no lesion seen in a picture") == 1
    assert words.index(insisted.external_id) < words.index("no lesion seen") < words.index(other.external_id)


def test_a_picture_that_failed_twice_is_counted_once_under_its_last_reason() -> None:
    batch = submitted_batch([1, 1])
    token, jobs = claim_jobs(limit=2)
    finish(token=token, ends=[(job, "model_error") for job in jobs])
    rerun_failed(actor=SYSTEM, batch=batch)
    stopped = cancel_batch(actor=SYSTEM, batch=batch)
    assert stopped.failures == 2
    words = text(as_pdf(batch_report(stopped)))
    assert "Cancelled 2\n" in words
    assert "Model error" not in words


def test_an_open_batch_has_a_report_too() -> None:
    pdf = as_pdf(batch_report(BatchFactory()))
    assert accessible(pdf)
    assert "State Open" in text(pdf)
    assert "Pictures" not in text(pdf)


def test_a_heading_stands_with_its_first_case_and_a_page_that_goes_on_says_with_what() -> None:
    data = batch_report(BatchFactory(completed=True)).data
    groups = [{"title": f"Group {n}", "rows": [[f"case {n}-{row}"] * 6 for row in range(n)]} for n in range(1, 24)]
    pdf = as_pdf(Document("batch", {**data, "groups": groups}))
    pages = [page.get_textpage().get_text_range().splitlines() for page in pypdfium2.PdfDocument(pdf)]
    assert len(pages) < len(groups)
    for n, _ in enumerate(groups, start=1):
        [page] = [lines for lines in pages if any(line.startswith(f"case {n}-0") for line in lines)]
        at = page.index(f"Group {n}")
        assert page[at + 1].startswith("Case Patient")
        assert page[at + 2].startswith(f"case {n}-0")
    for page in pages[1:]:
        assert page[0].startswith("Group ")
        assert page[1].startswith("Case Patient")
        assert page[2].startswith(page[0].replace("Group", "case") + "-")


def test_more_cases_take_no_more_queries_and_all_fit() -> None:
    batch = BatchFactory(completed=True)
    counts = []
    for more in (2, 90):
        for _ in range(more):
            answered(batch, pictures=0)
        with CaptureQueriesContext(connection) as queries:
            document = batch_report(Batch.objects.select_related("organisation").get(pk=batch.pk))
        counts.append(len(queries))
    assert counts[0] == counts[1]
    pages = [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(as_pdf(document))]
    assert len(pages) > 2
    assert all(page.startswith("Urgent referral (92)") for page in pages[1:])  # no page leaves open what is advised
    words = "".join(pages)
    assert all(case.external_id in words for case in batch.cases.all())
    assert CaseResult.objects.count() == 92


def test_more_cancelled_cases_take_no_more_queries_in_either_report() -> None:
    counts = []
    for cases in (2, 30):
        batch = submitted_batch([1] * cases)
        cancel_batch(actor=SYSTEM, batch=batch)
        cancelled = Batch.objects.select_related("organisation").get(pk=batch.pk)
        with CaptureQueriesContext(connection) as queries:
            batch_report(cancelled)
            list(batch_bundle(cancelled))
        counts.append(len(queries))
    assert counts[0] == counts[1]
