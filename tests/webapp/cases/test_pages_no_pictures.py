"""Files that lie beside the pictures and are chosen with them are no cases, and are named."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.webapp.cases.new_batch import NEW, upload
from webapp.accounts.models import Organisation
from webapp.cases.models import Batch, Image

pytestmark = pytest.mark.django_db
BESIDE = ["Thumbs.db", ".DS_Store", "letter.pdf", "desktop.ini", "notes.TXT", "._a.jpg"]


def images() -> list[tuple[str, str, str]]:
    return [*Image.objects.order_by("filename").values_list("case__external_id", "filename", "state")]


def left_out() -> list[tuple[str, str]]:
    return [(line["name"], line["code"]) for line in Batch.objects.get().left_out]


def announce(client: Client, *names: str, **fields: Any) -> Any:
    form = {"key": str(uuid4()), "grouping": "each", "capture": "phone", "names": json.dumps(names), **fields}
    return client.post(NEW, form, headers={"accept": "application/json"})


def test_a_script_is_told_to_send_none_of_them_and_the_batch_names_each(client: Client, clinic: Organisation) -> None:
    made = announce(client, "a.jpg", "damaged.jpg", "IM000001", *BESIDE).json()

    assert made["unlisted"] == BESIDE
    assert [name for _, name, _ in images()] == ["IM000001", "a.jpg", "damaged.jpg"]
    assert left_out() == [(name, "no_picture") for name in BESIDE]
    html = client.get(made["batch"]).content.decode()
    assert "6 files left out</summary>" in html
    assert "letter.pdf</td><td>Its name says that this is no picture, so it was left out." in html


def test_without_a_script_they_are_left_out_too(client: Client, clinic: Organisation) -> None:
    upload(client, ("a.jpg", b"x"), *((name, b"x") for name in BESIDE))

    assert images() == [("a", "a.jpg", "stored")]
    assert left_out() == [(name, "no_picture") for name in BESIDE]


def test_they_are_no_pictures_of_one_case_either(client: Client, clinic: Organisation) -> None:
    announce(client, "a.jpg", "letter.pdf", grouping="one", case_id="L1", patient_id="P1")

    assert images() == [("L1", "a.jpg", "awaiting_upload")]
    assert left_out() == [("letter.pdf", "no_picture")]


def test_one_that_a_table_names_is_a_picture_all_the_same(client: Client, clinic: Organisation) -> None:
    table = SimpleUploadedFile("cases.csv", b"images\na.jpg\nscan.txt\n")
    made = announce(client, "a.jpg", "scan.txt", "letter.pdf", "b.jpg", files=table).json()

    assert [name for _, name, _ in images()] == ["a.jpg", "scan.txt"]
    assert sorted(made["unlisted"]) == ["b.jpg", "letter.pdf"]
    assert sorted(left_out()) == [("b.jpg", "not_in_table"), ("letter.pdf", "no_picture")]


def test_beside_a_zip_they_keep_nobody_from_sending_it(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("all.zip", b"PK"), ("Thumbs.db", b"x"))

    assert response.url == reverse("cases:batch", args=[Batch.objects.get().pk])
    assert left_out() == [("Thumbs.db", "no_picture")]


def test_nothing_else_is_no_batch(client: Client, clinic: Organisation) -> None:
    told = announce(client, "Thumbs.db", "letter.pdf")

    assert told.status_code == 422
    assert told.json()["errors"] == [
        "Thumbs.db, letter.pdf: no picture, by what the name says. Choose at least one picture."
    ]
    assert not Batch.objects.exists()
