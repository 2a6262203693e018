"""What lies in a ZIP beside the pictures is no case and holds nothing up; a damaged picture is a case all the same."""

import pytest
from django.test import Client as Browser
from django.urls import reverse

from tests.ml.imaging.samples import zipped
from tests.webapp.api.clinic import Clinic, good
from tests.webapp.cases.zips import codes, expand_next, images, photo, sent
from webapp.accounts.models import Organisation
from webapp.cases.models import Archive, Batch

pytestmark = pytest.mark.django_db(transaction=True)

BESIDE = {
    "export/readme.txt": b"Read me",
    "export/LICENSE": b"CC BY",
    "export/1.JSON": b"{}",
    "notes.docx": zipped({"word.xml": b"x"}),
    "letter.pdf": b"%PDF-1.7",
    "pictures.db": b"x",
}
LEFT_OUT = [(name, "no_picture") for name in BESIDE]


def left_out(batch: Batch) -> list[tuple[str, str]]:
    batch.refresh_from_db()
    return [(line["name"], line["code"]) for line in batch.left_out]


def test_what_nobody_means_as_a_picture_is_no_case_and_the_batch_is_sent_without_it() -> None:
    clinic = Clinic()
    files = {"export/1.jpg": photo(), "export/damaged.jpg": b"x", "export/DICOM.1": b"x", "export/SCAN": b"x"}
    batch = sent(clinic, zipped({**BESIDE, **files}))

    assert codes(expand_next()) == []

    assert images(batch) == [
        ("1", "1.jpg", "stored"),
        ("DICOM", "DICOM.1", "stored"),
        ("SCAN", "SCAN", "stored"),
        ("damaged", "damaged.jpg", "stored"),
    ]
    assert left_out(batch) == LEFT_OUT
    told = good(clinic.post(f"/batches/{batch.pk}/submit"))
    assert (told["state"], told["left_out"]) == ("submitted", batch.left_out)


def test_beside_a_table_it_is_left_out_unless_a_case_names_it() -> None:
    files = {"cases.csv": b"images\n1.jpg\nscan.txt\n", "1.jpg": photo(1), "scan.txt": photo(2), "2.jpg": photo(3)}
    batch = sent(Clinic(), zipped({**files, **BESIDE}))

    assert codes(expand_next()) == [("2.jpg", "not_in_table")]

    assert images(batch) == [("1", "1.jpg", "stored"), ("scan", "scan.txt", "stored")]
    assert left_out(batch) == LEFT_OUT


def test_a_zip_of_nothing_else_holds_no_pictures() -> None:
    batch = sent(Clinic(), zipped(BESIDE))

    archive = expand_next()

    assert (archive.state, archive.reason) == (Archive.State.REFUSED, "empty_archive")
    assert left_out(batch) == []


def test_the_page_of_the_batch_says_it_beside_what_was_left_out_before(client: Browser, clinic: Organisation) -> None:
    sent(Clinic(clinic), zipped({"readme.txt": b"x", "1.jpg": photo()}))
    before = {"name": "b.jpg", "code": "not_in_table", "message": "No row of the table names this file."}
    Batch.objects.update(left_out=[before])
    expand_next()

    html = client.get(reverse("cases:batch", args=[Batch.objects.get().pk])).content.decode()

    assert "2 files or rows left out</summary>" in html
    assert "Its name says that this is no picture, so it was left out. If it is one, rename it," in html
