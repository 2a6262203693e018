"""The page on which a provider makes a batch of files, through HTTP."""

import io
import json
import re
import zipfile
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from tests.webapp.cases.new_batch import NEW, upload
from webapp import storage
from webapp.accounts.models import Organisation
from webapp.cases.archives import claim_archive
from webapp.cases.models import Archive, Batch, Case, Image
from webapp.cases.unpacking import expand

pytestmark = pytest.mark.django_db


def test_each_file_becomes_a_case(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("a.jpg", b"one"), ("b.jpg", b"two"), ("b.png", b"three"), name="Monday")

    batch = Batch.objects.get(organisation=clinic)
    assert response.url == reverse("cases:batch", args=[batch.pk])
    assert (batch.name, batch.source, batch.state) == ("Monday", "web", "open")
    assert set(batch.cases.values_list("external_id", flat=True)) == {"a", "b.jpg", "b.png"}
    assert set(batch.images.values_list("state", flat=True)) == {"stored"}


def test_files_of_the_same_name_are_cases_of_their_own(client: Client, clinic: Organisation) -> None:
    upload(client, ("a.jpg", b"one"), ("a.jpg", b"two"))

    assert set(Case.objects.values_list("external_id", flat=True)) == {"a.jpg", "a.jpg (2)"}
    assert Image.objects.filter(state="stored").count() == 2


def test_all_files_can_be_one_case_with_details(client: Client, clinic: Organisation) -> None:
    upload(
        client, ("a.jpg", b"one"), ("b.jpg", b"two"),
        grouping="one", case_id="L1", patient_id="P1", age="52", sex="female", patient_date_of_birth="1974-03-01",
    )  # fmt: skip

    case = Case.objects.get()
    assert (case.external_id, case.age, case.sex, case.images.count()) == ("L1", 52, "female", 2)
    assert str(case.patient.date_of_birth) == "1974-03-01"


def test_mistakes_in_the_details_are_shown_beside_their_fields(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("a.jpg", b"one"), grouping="one", case_id="L1", patient_id="P1", age="old")

    assert response.status_code == 422
    assert response.context["case_form"].errors["age"]
    assert not Batch.objects.exists()


def test_a_table_groups_the_files(client: Client, clinic: Organisation) -> None:
    table = b"case_id,patient_id,age,images\nL1,P1,40,a.jpg\nL1,P1,40,b\nL2,P2,61,missing.jpg\n"

    response = upload(client, ("cases.csv", table), ("a.jpg", b"1"), ("b.jpg", b"2"), ("extra.jpg", b"3"))

    html = client.get(response.url).content.decode()
    assert Case.objects.get(external_id="L1").images.filter(state="stored").count() == 2
    assert "extra.jpg" in html
    assert "missing.jpg" in html
    assert "Submit without the missing files" in html
    assert 'data-confirm="Submit without 1 file that has not arrived? After that it can only be sent' in html


def test_every_mistake_in_a_table_is_shown_and_nothing_is_stored(client: Client, clinic: Organisation) -> None:
    table = b"case_id,age,images\nL1,old,a.jpg\nL2,200,b.jpg\n"

    response = upload(client, ("cases.csv", table), ("a.jpg", b"1"))

    assert response.status_code == 422
    assert [error.row for error in response.context["row_errors"]] == [2, 3]
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "Choose at least one picture."),
        ([("a.zip", b"1"), ("a.jpg", b"1")], "Choose one ZIP file or single pictures, not both."),
        ([("a.csv", b"1"), ("b.csv", b"1")], "Choose one CSV table or JSON manifest at most."),
        ([("a.csv", b"1"), ("b.json", b"1")], "Choose one CSV table or JSON manifest at most."),
        ([("a.zip", b"1"), ("cases.ods", b"PK")], "cases.ods: a table is read as CSV. Save it as “CSV UTF-8”"),
        ([("a.jpg", b"1"), ("Cases.XLSX", b"PK")], "Cases.XLSX: a table is read as CSV. Save it as “CSV UTF-8”"),
    ],
)
def test_a_choice_that_makes_no_batch_says_why(
    client: Client, clinic: Organisation, files: list[tuple[str, bytes]], sentence: str
) -> None:
    response = upload(client, *files)

    assert response.status_code == 422
    assert sentence in response.content.decode()


def test_a_zip_waits_to_be_unpacked(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("all.zip", b"PK not really"), capture="phone")

    archive = Archive.objects.get(batch__organisation=clinic)
    assert (archive.state, archive.capture) == ("stored", "phone")
    assert "The ZIP is being unpacked" in client.get(response.url).content.decode()


def test_a_zip_that_cannot_be_unpacked_says_so_and_counts_nothing(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("all.zip", b"PK not really"))
    leased = claim_archive()
    assert leased is not None
    assert expand(*leased)

    html = client.get(response.url).content.decode()
    assert html.count("The ZIP file is damaged or incomplete.") == 1
    assert "left out" not in html
    assert "There are no images." in html


def test_a_table_beside_a_zip_names_the_cases_that_the_zip_brings_the_files_of(
    client: Client, clinic: Organisation
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("deep/A.jpg", "b.png", "extra.jpg", "a.csv"):
            archive.writestr(name, b"x")
    table = b"case_id,images\nL1,a\nL1,b.png\nL2,missing.jpg\n"

    response = upload(client, ("all.zip", packed.getvalue()), ("cases.csv", table))
    leased = claim_archive()
    assert leased is not None
    assert expand(*leased)

    found = Image.objects.values_list("case__external_id", "filename", "state")
    assert set(found) == {
        ("L1", "A.jpg", "stored"),
        ("L1", "b.png", "stored"),
        ("L2", "missing.jpg", "awaiting_upload"),
    }
    assert {line["code"] for line in Archive.objects.get().report} == {"table_left_out", "not_in_table"}
    assert "missing.jpg" in client.get(response.url).content.decode()


def test_what_a_zip_left_out_is_said_beside_the_button_that_submits_the_rest(
    client: Client, clinic: Organisation
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in {"a.jpg": b"x", "b.jpg": b"x", "cases.csv": b"images\na\nmissing\n"}.items():
            archive.writestr(name, data)
    response = upload(client, ("all.zip", packed.getvalue()))
    batch = Batch.objects.get()
    before = client.get(reverse("cases:batch_progress", args=[batch.pk])).context["stamp"]
    leased = claim_archive()
    assert leased is not None
    assert expand(*leased)

    buttons = client.get(response.url).content.decode().partition('id="actions"')[2].partition("<section")[0]
    assert "2 files or rows of the ZIP left out" in buttons
    assert "Submit without what was left out" in buttons
    trigger = client.get(reverse("cases:batch_progress", args=[batch.pk]), {"seen": before}).headers["HX-Trigger"]
    assert "actions-changed" in trigger
    client.post(reverse("cases:batch_submit", args=[batch.pk]))
    assert Batch.objects.get().state == "open"
    client.post(reverse("cases:batch_submit", args=[batch.pk]), {"allow_missing": "1"})
    assert Batch.objects.get().state == "submitted"


def test_a_table_with_mistakes_beside_a_zip_stores_nothing(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("all.zip", b"PK"), ("cases.csv", b"images,age\na.jpg,old\n"))

    assert response.status_code == 422
    assert [error.code for error in response.context["row_errors"]] == ["age_invalid"]
    assert not Batch.objects.exists()


def test_a_zip_that_is_too_large_makes_no_batch(client: Client, clinic: Organisation, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 10

    assert upload(client, ("all.zip", b"x" * 11)).status_code == 422
    assert not Batch.objects.exists()


def test_a_file_that_nothing_waits_for_is_named(client: Client, clinic: Organisation) -> None:
    batch = upload(client, ("a.jpg", b"1")).url
    unknown = client.post(f"{batch}files/", {"files": SimpleUploadedFile("c.jpg", b"x")}, follow=True)
    assert "c.jpg" in unknown.content.decode()


def test_a_script_announces_a_zip_and_is_told_where_its_parts_go(client: Client, clinic: Organisation) -> None:
    fields = {"key": str(uuid4()), "grouping": "each", "capture": "phone", "archives": json.dumps([50_000_000])}
    made = client.post(NEW, fields, headers={"accept": "application/json"}).json()

    archive = Archive.objects.get(batch__organisation=clinic)
    assert (archive.state, archive.capture) == ("awaiting_upload", "phone")
    assert f"/batches/{archive.batch_id}/archive/parts" in made["archive-parts"]
    assert f"/batches/{archive.batch_id}/archive/complete" in made["complete-archive"]
    assert "Choose it again" in client.get(made["batch"]).content.decode()

    again = client.post(made["batch_files"], {"files": SimpleUploadedFile("all.zip", b"PK")})
    assert again.headers["Location"] == made["batch"]
    archive.refresh_from_db()
    assert (archive.state, storage.read(archive.key)) == ("stored", b"PK")
    twice = client.post(made["batch_files"], {"files": SimpleUploadedFile("all.zip", b"PK")}, follow=True)
    assert "This batch awaits no ZIP file" in twice.content.decode()


def test_a_script_gets_every_mistake_as_a_table_to_download(client: Client, clinic: Organisation) -> None:
    table = b"images,age\na.jpg\n" + b"a.jpg,old\n" * 250
    fields = {
        "key": str(uuid4()),
        "grouping": "each",
        "capture": "phone",
        "files": SimpleUploadedFile("cases.csv", table),
    }
    answer = client.post(NEW, fields, headers={"accept": "application/json"})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        "Column age, 250 rows (3, 4, 5, 6, 7 and others): Give the age in whole years, 0 to 120, or leave it out.",
        "Row 2: This row has 1 cell and the header has 2. Leave a cell empty, not out.",
    ]
    assert answer.json()["fields"] == [""] * 2
    assert unquote(answer.json()["error_table"]).count("age_invalid") == 250


def test_mistakes_that_are_alike_are_told_together_and_what_is_wrong_most_often_first(
    client: Client, clinic: Organisation
) -> None:
    table = b"case_id,age,images\nA,old,a\nB,1,b,\nC,1,c\nC,2,c\nD,200,d\nE,1,e\nE,2,e\n"

    response = upload(client, ("cases.csv", table), ("a.jpg", b"1"))

    html = response.content.decode().partition('id="upload-errors"')[2].partition("</ul>")[0]
    assert "5 mistakes in the table" in html
    assert re.findall("<li>(.*?)</li>", html) == [
        "Column age, rows 2 and 6: Give the age in whole years, 0 to 120, or leave it out.",
        "Column case_id, rows 5 and 8. In row 5: Row 4 says something else of this case. "
        "Give another case its own case_id.",
        "Row 3: This row has 4 cells and the header has 3. Quote cells with commas.",
    ]


def test_columns_that_are_not_known_are_told_in_one_sentence(client: Client, clinic: Organisation) -> None:
    response = upload(client, ("cases.csv", b"ward,gender,room,images\n1,f,2,a.jpg\n"), ("a.jpg", b"1"))

    html = response.content.decode().partition('id="upload-errors"')[2].partition("</ul>")[0]
    told = [sentence.partition(" Known are: ")[0] for sentence in re.findall("<li>(.*?)</li>", html)]
    assert told == [
        "Columns ward and room, row 1: Rename or remove them.",
        "Column gender, row 1: Did you mean sex? Rename or remove it.",
    ]


def test_a_script_is_told_the_field_of_each_mistake(client: Client, clinic: Organisation) -> None:
    nothing = {"key": str(uuid4()), "grouping": "each", "capture": "phone"}
    one = {**nothing, "grouping": "one", "case_id": "L1", "patient_id": "P1", "age": "old", "names": '["a.jpg"]'}
    answers = [client.post(NEW, fields, headers={"accept": "application/json"}).json() for fields in (nothing, one)]

    assert [answer["fields"] for answer in answers] == [["files"], ["id_age"]]
    assert answers[0]["errors"] == ["Choose at least one picture."]


def test_what_a_script_announces_is_not_trusted(client: Client, clinic: Organisation) -> None:
    for archives in ('["x"]', "{}", "[null]", "[Infinity]", "nonsense"):
        fields = {"key": str(uuid4()), "grouping": "each", "capture": "phone", "archives": archives}
        assert client.post(NEW, fields, headers={"accept": "application/json"}).status_code == 422
    assert not Batch.objects.exists()
