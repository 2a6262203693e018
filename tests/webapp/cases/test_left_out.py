"""All that was left out of a batch can be taken away as a table, however much it is."""

import csv
import io
import json
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.factories import ArchiveFactory, BatchFactory, CaseFactory, ImageFactory
from tests.ml.imaging.samples import zipped
from tests.webapp.api.clinic import API, good, problem
from tests.webapp.api.clinic import Clinic as Software
from tests.webapp.cases.telling import MARK, everything
from tests.webapp.cases.zips import expand_next, photo, sent
from webapp.accounts.models import Organisation
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.archives import claim_archive, finish
from webapp.cases.erasure import erase_case
from webapp.cases.left_out import MAX_LISTED
from webapp.cases.models import Batch

pytestmark = pytest.mark.django_db(transaction=True)
WRONG = MAX_LISTED + 500


def taken(client: Any, batch: Batch) -> list[tuple[str, str]]:
    """What the table lists, as the API gives it: of each line its name and code."""
    answer = client.get(f"{API}/batches/{batch.pk}/left-out.csv")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="batch-{batch.pk}-left-out.csv"'
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert all(row["message"] for row in rows)
    return [(row["name"], row["code"]) for row in rows]


def test_every_row_of_a_table_in_a_zip_and_every_picture_of_one(client: Client, clinic: Organisation) -> None:
    software = Software(clinic)
    wrong = "".join(f"c{n},old,{n}.jpg\n" for n in range(WRONG))
    files = {f"{n}.jpg": b"x" for n in range(WRONG)}
    batch = sent(software, zipped({"cases.csv": f"case_id,age,images\ngood,61,good.jpg\n{wrong}".encode(), **files}))
    expand_next()

    expected = [(f"row {n + 3}", "age_invalid") for n in range(WRONG)]
    expected += [(f"{n}.jpg", "not_in_table") for n in range(WRONG)]
    for who in (software.http, client):
        assert sorted(taken(who, batch)) == sorted([("", "files_missing"), ("row 2", "file_missing"), *expected])
    detail = good(software.get(f"/batches/{batch.pk}"))
    assert len(detail["archive"]["report"]) == MAX_LISTED
    page = client.get(reverse("cases:batch", args=[batch.pk])).content.decode()
    assert f'href="{API}/batches/{batch.pk}/left-out.csv"' in page
    assert Event.objects.filter(action="batch.viewed", object_id=str(batch.pk)).exists()


def test_every_file_that_a_table_names_and_its_zip_lacks_comes_with_its_row() -> None:
    rows = "".join(f"c{n},{n}.jpg;gone-{n}.jpg\n" for n in range(30)) + "c1,late.jpg\n"
    batch = sent(Software(), zipped({"cases.csv": f"case_id,images\n{rows}".encode(), "1.jpg": photo()}))
    archive = expand_next()

    assert [line["code"] for line in archive.report] == ["files_missing"]
    answer = Software(batch.organisation).get(f"/batches/{batch.pk}/left-out.csv")
    [_, *lines] = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))
    told = [(line["name"], line["message"].partition(" ")[0]) for line in lines]
    missing = [(f"row {n + 2}", name) for n in range(30) for name in (f"{n}.jpg", f"gone-{n}.jpg") if name != "1.jpg"]
    assert sorted(told) == sorted([*missing, ("row 32", "late.jpg")])


def test_every_picture_that_no_row_of_a_table_names(client: Client, clinic: Organisation) -> None:
    names = [f"{n}.jpg" for n in range(WRONG)]
    form = {"key": str(uuid4()), "grouping": "each", "capture": "phone", "names": json.dumps(["=a.jpg", *names])}
    table = SimpleUploadedFile("cases.csv", b"images\n0.jpg\n")
    client.post(reverse("cases:batch_new"), {**form, "files": table}, headers={"accept": "application/json"})

    batch = Batch.objects.get()
    assert len(batch.left_out) == MAX_LISTED
    assert taken(client, batch) == [(name, "not_in_table") for name in ["'=a.jpg", *names[1:]]]
    page = client.get(reverse("cases:batch", args=[batch.pk])).content.decode()
    assert "2,000 or more files left out" in page
    assert "left-out.csv" in page


def test_where_nothing_was_left_out_no_table_is_offered(client: Client, clinic: Organisation) -> None:
    batch: Batch = BatchFactory(organisation=clinic)
    assert taken(client, batch) == []
    assert "left-out.csv" not in client.get(reverse("cases:batch", args=[batch.pk])).content.decode()
    assert problem(Software().get(f"/batches/{batch.pk}/left-out.csv"), 404)["code"] == "not_found"


def test_an_erased_case_is_named_nowhere_in_it(client: Client, clinic: Organisation) -> None:
    software = Software(clinic)
    rows = "".join(f"c{n},{n}.jpg\n" for n in range(50)) + f"c,a.jpg;{MARK}.jpg\n"
    batch = sent(software, zipped({"cases.csv": f"case_id,images\n{rows}".encode(), "a.jpg": photo()}))
    expand_next()
    before = taken(client, batch)
    assert any(MARK in row for row in everything())

    erase_case(actor=SYSTEM, case=batch.cases.get())

    assert [row for row in everything() if MARK in row] == []
    assert taken(client, batch) == before


def test_an_erased_case_is_not_named_past_what_pages_show(client: Client, clinic: Organisation) -> None:
    batch: Batch = BatchFactory(organisation=clinic)
    image = ImageFactory(case=CaseFactory(batch=batch), filename=f"{MARK}.jpg", ready=True)
    ArchiveFactory(batch=batch, stored=True)
    leased = claim_archive()
    assert leased is not None
    token, archive = leased
    report = [{"name": f"{n}.jpg", "code": "not_in_table", "message": "Left out."} for n in range(WRONG)]
    report.append({"name": f"export/{MARK}.jpg", "code": "not_in_table", "message": "Left out."})
    assert finish(archive=archive, token=token, report=report)
    assert len(taken(client, batch)) == WRONG + 1

    erase_case(actor=SYSTEM, case=image.case)

    assert [row for row in everything() if MARK in row] == []
    assert len(taken(client, batch)) == WRONG
