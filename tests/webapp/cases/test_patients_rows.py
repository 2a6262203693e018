"""Rows that contradict what is known, of a patient or of a batch: each is told with its number, however many."""

import csv
import io
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.ml.imaging.samples import zipped
from tests.webapp.api.clinic import Clinic, case, good, problem, send_table
from tests.webapp.cases.zips import expand_next, photo, sent
from webapp.accounts.models import Organisation
from webapp.cases.models import Batch, Case

pytestmark = pytest.mark.django_db
ANNA = {"patient_email": "anna@home.example", "patient_date_of_birth": "1960-02-03"}
BERT = {"patient_email": "bert@home.example", "patient_date_of_birth": "1971-04-05"}
FIELDS = list(ANNA)
HEADER = "case_id,patient_id,patient_email,patient_date_of_birth,images\n"


def table(*said: dict[str, str]) -> str:
    """A row of each for the patient of `case`, and between two of them one that says nothing."""
    rows = []
    for number, fields in enumerate(said):
        rows.append(f"c{number},patient-1,{fields['patient_email']},{fields['patient_date_of_birth']},{number}.jpg\n")
        rows.append(f"n{number},patient-1,,,n{number}.jpg\n")
    return HEADER + "".join(rows)


def listed(text: str) -> list[tuple[int, str, str]]:
    return [(int(row["row"]), row["field"], row["code"]) for row in csv.DictReader(io.StringIO(text))]


def conflicts(*rows: int) -> list[tuple[int, str, str]]:
    return [(row, field, "patient_conflict") for row in rows for field in FIELDS]


def known() -> Clinic:
    clinic = Clinic()
    clinic.create(case("a", **ANNA))
    return clinic


def test_each_contradiction_comes_with_its_row_as_a_table() -> None:
    clinic = known()
    rows = [case(f"c{n}", **(BERT if n % 2 else {})) for n in range(1200)]

    for answer in (
        send_table(clinic, table(*[BERT] * 600), Accept="text/csv"),
        clinic.post("/batches", {"cases": rows}, Accept="text/csv"),
    ):
        assert (answer.status_code, answer.headers["Content-Type"]) == (422, "text/csv; charset=utf-8")
        text = answer.content.decode()
        assert listed(text) == conflicts(*range(2, 1202, 2))
        assert not any(value in text for value in ANNA.values())
    assert Batch.objects.count() == 1


def test_each_contradiction_comes_with_its_row_as_a_problem() -> None:
    clinic = known()

    refused = problem(clinic.post("/batches", {"cases": [case("b"), case("c", **BERT)]}), 422)
    assert (refused["code"], refused["error_count"]) == ("patient_conflict", 2)
    assert [(error["row"], error["field"]) for error in refused["errors"]] == [(2, field) for field in FIELDS]
    advice = "a provider changes what is known, on the page of a case of theirs."
    assert all(error["message"].endswith(advice) for error in refused["errors"])

    many = problem(send_table(clinic, table(*[BERT] * 600)), 422)
    assert (many["error_count"], len(many["errors"])) == (1200, 1000)


def test_every_row_of_a_case_says_it() -> None:
    clinic = known()
    said = ",".join(BERT.values())
    rows = [f"c,patient-1,{said},1.jpg", "d,patient-1,,,2.jpg", f"c,patient-1,{said},3.jpg"]

    answer = send_table(clinic, HEADER + "\n".join(rows), Accept="text/csv")

    assert listed(answer.content.decode()) == conflicts(2, 4)


def test_cases_that_a_batch_has_already_come_with_their_rows() -> None:
    clinic = Clinic()
    batch = clinic.create(*(case(f"c{n}") for n in range(0, 300, 2)))
    path = f"/batches/{batch['id']}/cases"
    again = [case(f"c{n}") for n in range(300)]
    expected = [(n + 1, "case_id", "case_id_repeated") for n in range(0, 300, 2)]

    assert listed(clinic.post(path, {"cases": again}, Accept="text/csv").content.decode()) == expected
    refused = problem(clinic.post(path, {"cases": again}), 422)
    assert refused["error_count"] == 150
    assert [error["row"] for error in refused["errors"]] == [row for row, *_ in expected]
    text = "case_id,images\nnew,n.jpg\nc2,x.jpg\nc2,y.jpg\n"
    assert [row for row, *_ in listed(send_table(clinic, text, path, Accept="text/csv").content.decode())] == [3, 4]
    assert Case.objects.count() == 150


def test_another_refusal_of_a_sound_manifest_is_no_table() -> None:
    clinic = Clinic()
    batch = clinic.create(case("a"))
    good(clinic.post(f"/batches/{batch['id']}/cancel"))
    answer = clinic.post(f"/batches/{batch['id']}/cases", {"cases": [case("b")]}, Accept="text/csv")
    assert problem(answer, 409)["code"] == "batch_not_open"


def upload(client: Client, data: bytes, **headers: Any) -> Any:
    fields = {"key": str(uuid4()), "grouping": "each", "capture": "phone"}
    file = SimpleUploadedFile("cases.csv", data)
    return client.post(reverse("cases:batch_new"), {**fields, "files": file}, **headers)


def test_the_page_lists_every_contradiction_to_download(client: Client, clinic: Organisation) -> None:
    Clinic(clinic).create(case("a", **ANNA))
    data = table(*[BERT] * 160).encode()

    answer = upload(client, data, headers={"accept": "application/json"})
    assert answer.status_code == 422
    head, text = unquote(answer.json()["error_table"]).split(",", 1)
    assert (head, listed(text)) == ("data:text/csv;charset=utf-8", conflicts(*range(2, 322, 2)))
    [told] = answer.json()["errors"]
    assert told.startswith("Columns patient_email and patient_date_of_birth, 160 rows (2, 4, 6, 8, 10 and others): ")

    page = upload(client, data).content.decode()
    assert "320 mistakes in the table" in page
    assert "Download every mistake as CSV" in page
    assert not any(value in page for value in ANNA.values())
    assert Batch.objects.count() == 1


def test_a_case_of_the_pages_own_form_is_told_in_a_sentence(client: Client, clinic: Organisation) -> None:
    Clinic(clinic).create(case("a", **ANNA))
    form = {"key": str(uuid4()), "grouping": "one", "capture": "phone", "files": SimpleUploadedFile("b.jpg", b"x")}
    said = {"case_id": "b", "patient_id": "patient-1", **BERT}

    answer = client.post(reverse("cases:batch_new"), {**form, **said}, headers={"accept": "application/json"})

    [told] = answer.json()["errors"]
    assert "b (patient_email), b (patient_date_of_birth)" in told
    assert answer.json()["error_table"] == ""


@pytest.mark.django_db(transaction=True)
def test_a_zip_that_contradicts_says_in_which_rows() -> None:
    clinic = known()
    said = table(*[BERT] * 12).encode()
    files = {name: photo(n) for n in range(12) for name in (f"{n}.jpg", f"n{n}.jpg")}

    sent(clinic, zipped({"cases.csv": said, **files}))
    archive = expand_next()

    assert archive.reason == "patient_conflict"
    _, *lines = archive.report
    assert [line["name"] for line in lines] == [f"row {row}" for row in range(2, 26, 2) for _ in FIELDS]
    assert {line["code"] for line in lines} == {"patient_conflict"}
    assert lines[0]["message"].startswith("patient_email: ")
