"""What a body may cost the process that reads it, however few bytes say so."""

import threading
import tracemalloc

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.factories import MembershipFactory
from tests.webapp.api.clinic import API, Clinic, case, good, problem
from webapp.api import parsers
from webapp.cases.manifest.reading import MAX_CASES

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("charset", "status", "code"),
    [("utf-8", 413, "too_many_values"), ("cp037", 400, "parse_error")],  # the other has no comma where these have one
)
def test_a_body_of_endless_values_is_refused_before_they_are_built(
    clinic: Clinic, charset: str, status: int, code: str
) -> None:
    body = '{"cases":[' + "{}," * 1_000_000 + "{}]}"  # 3 MB, of which 85 would be built
    good(clinic.get("/batches"))
    sent = body.encode(charset)

    tracemalloc.start()
    try:
        response = clinic.http.generic("POST", f"{API}/batches", sent, f"application/json; charset={charset}")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert problem(response, status)["code"] == code
    assert most < 20 * 1024**2


def test_commas_in_notes_are_told_of_where_they_are_too_many() -> None:
    response = Clinic().post("/batches", {"cases": [case(notes="," * 500_001)]})
    assert "500,000 values in one request, each comma in a text counted" in problem(response, 413)["detail"]


def test_the_largest_manifest_is_read() -> None:
    notes = "Itches, bleeds, grew, changed its colour, and has been there for years."
    said = {"lesion_id": "l", "age": 61, "sex": "male", "anatom_site": "back", "capture": "phone", "notes": notes}
    person = {"patient_email": "p@clinic.example", "patient_date_of_birth": "1964-02-29"}
    cases = [case(str(n), f"{n}.jpg", f"{n}-2.jpg", **said, **person) for n in range(MAX_CASES)]
    cases[-1]["age"] = -1  # so that none of them is stored
    answer = problem(Clinic().post("/batches", {"cases": cases}), 422)
    assert [(error["row"], error["field"]) for error in answer["errors"]] == [(MAX_CASES, "age")]


def test_large_bodies_are_built_one_after_the_other_and_small_ones_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsers, "TURN", threading.Semaphore(0))
    monkeypatch.setattr(parsers, "TURN_SECONDS", 0.0)
    clinic = Clinic()
    clinic.create(case())
    large = clinic.post("/batches", {"cases": [case()], "name": "x" * 100_000})
    small_table, table = (
        clinic.http.post(f"{API}/batches", f"case_id,images,notes\na,a.jpg,{notes}", "text/csv")
        for notes in ("", "x" * 100_000)
    )
    good(small_table, 201)
    for response in (large, table):
        assert problem(response, 503)["code"] == "busy"
        assert int(response.headers["Retry-After"]) > 0


def test_a_large_table_of_a_page_waits_for_its_turn_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsers, "TURN", threading.Semaphore(0))
    monkeypatch.setattr(parsers, "TURN_SECONDS", 0.0)
    client.force_login(MembershipFactory().user)
    fields = {"grouping": "each", "capture": "dermoscopic", "key": "0b1d6c9e-9f0c-4f5c-8f7e-3f6f5f1e6a55"}
    table = SimpleUploadedFile("t.csv", b"case_id,images,notes\na,a.jpg," + b"x" * 100_000)
    page = client.post(reverse("cases:batch_new"), {**fields, "files": [table]})
    assert page.status_code == 503
    assert int(page.headers["Retry-After"]) > 0
    assert "try again in a moment" in page.content.decode()
