"""A JSON manifest that is chosen on the page on which a provider makes a batch."""

import json

import pytest
from django.test import Client

from tests.webapp.cases.new_batch import upload
from webapp.accounts.models import Organisation
from webapp.cases.models import Batch, Case

pytestmark = pytest.mark.django_db


def test_a_json_manifest_says_what_it_says_to_the_api(client: Client, clinic: Organisation) -> None:
    cases = [{"case_id": "L1", "patient_id": "P1", "age": 40, "images": ["a.jpg", "b"]}]
    manifest = json.dumps({"name": "Tuesday", "capture": "phone", "cases": cases}).encode()

    response = upload(client, ("Cases.JSON", manifest), ("a.jpg", b"1"), ("b.jpg", b"2"), ("extra.jpg", b"3"))

    case = Case.objects.select_related("batch").get()
    assert (case.external_id, case.age, case.capture, case.batch.name) == ("L1", 40, "phone", "Tuesday")
    assert set(case.images.values_list("filename", "state")) == {("a.jpg", "stored"), ("b.jpg", "stored")}
    assert "extra.jpg" in client.get(response.url).content.decode()
    upload(client, ("cases.json", json.dumps({"name": "Tuesday", "cases": cases}).encode()), name="Mine")
    mine = Case.objects.get(batch__name="Mine")
    assert (mine.capture, mine.images.filter(state="awaiting_upload").count()) == ("dermoscopic", 2)


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        (b"", "not_json"),
        (b"[]", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"cases": [{"age": NaN}]}', "not_json"),
        ("{}".encode("utf-16"), "not_json"),
        (b"{}", "not_a_list"),
        (b'{"cases": []}', "cases_missing"),
        (b'{"cases": [], "case": 1}', "unknown_field"),
        (b'{"cases": [], "capture": "x"}', "invalid_choice"),
        (b'{"cases": [], "archive_size": 5}', "invalid"),
        (b'{"cases": [{"case_id": "L1", "age": "old", "images": ["a.jpg"]}]}', "age_invalid"),
        (b'{"cases": [{"case_id": "L1", "images": ["c"]}]}', "image_ambiguous"),
    ],
)
def test_a_json_manifest_with_a_mistake_stores_nothing(
    client: Client, clinic: Organisation, manifest: bytes, code: str
) -> None:
    response = upload(client, ("cases.json", manifest), ("a.jpg", b"1"), ("c.jpg", b"1"), ("c.png", b"1"))

    assert response.status_code == 422
    assert [(error.row, error.code) for error in response.context["row_errors"]] == [(1, code)]
    assert not Batch.objects.exists()
