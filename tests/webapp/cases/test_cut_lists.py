"""A list that is cut says so, and what is counted is what it is of."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import ArchiveFactory, BatchFactory, CaseFactory, CaseResultFactory, ImageFactory
from webapp.accounts.models import Organisation
from webapp.cases.left_out import MAX_LISTED
from webapp.cases.models import Archive, Batch, Case

pytestmark = pytest.mark.django_db


def page_of(client: Client, clinic: Organisation, count: int, **archive: object) -> str:
    """The page of a batch whose ZIP has a report of so many lines."""
    batch: Batch = BatchFactory(organisation=clinic)
    ImageFactory(case=CaseFactory(batch=batch))
    report = [{"name": f"{number}.jpg", "code": "late", "message": f"Line {number}."} for number in range(count)]
    ArchiveFactory(**{"batch": batch, "state": Archive.State.EXPANDED, "report": report, **archive})
    return client.get(reverse("cases:batch", args=[batch.pk])).content.decode()


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "1 file or row of the ZIP left out</summary>"),
        (200, "200 files or rows of the ZIP left out</summary>"),
        (201, "201 files or rows of the ZIP left out (the first 200 shown)</summary>"),
        (MAX_LISTED, "2,000 or more files or rows of the ZIP left out (the first 200 shown)</summary>"),
    ],
)
def test_the_report_of_a_zip(client: Client, clinic: Organisation, count: int, said: str) -> None:
    html = page_of(client, clinic, count)

    assert said in html
    assert "Line 200." not in html
    assert said.partition(" (")[0].removesuffix("</summary>") in html.partition("Submit without")[0]


def test_why_a_zip_was_refused_is_none_of_what_was_left_out(client: Client, clinic: Organisation) -> None:
    html = page_of(client, clinic, 3, state=Archive.State.REFUSED, reason="archive_too_large")

    assert "2 files or rows of the ZIP left out" in html
    assert html.count("Line 0.") == 1


def test_why_a_zip_waits_is_none_of_what_was_left_out(client: Client, clinic: Organisation) -> None:
    html = page_of(client, clinic, 1, state=Archive.State.STORED, stored_at=timezone.now())

    assert "Line 0." in html
    assert "left out" not in html


def test_what_is_more_urgent_since_its_release(
    client: Client, clinic: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.cases.views.review.PAGE", 2)
    cut = "More urgent since their release (the first 2 shown)"
    for expected in (False, False, True):
        case: Case = CaseResultFactory(case__batch__organisation=clinic, advice="self_monitor").case
        Case.objects.filter(pk=case.pk).update(released_at=timezone.now())
        case.refresh_from_db()
        CaseResultFactory(case=case, advice="urgent_referral")
        assert (cut in client.get(reverse("cases:to_review")).content.decode()) == expected


def test_one_file_is_told_as_one(client: Client, clinic: Organisation) -> None:
    batch: Batch = BatchFactory(organisation=clinic)
    ImageFactory(case=CaseFactory(batch=batch), filename="a.jpg")
    files = [SimpleUploadedFile(name, name.encode()) for name in ("a.jpg", "b.jpg")]

    html = client.post(reverse("cases:batch_files", args=[batch.pk]), {"files": files}, follow=True).content.decode()

    assert "1 file has arrived." in html
    assert "No image of this batch waits for one of the files, so it was left out: b.jpg." in html
