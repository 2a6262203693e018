"""Manifests: what a client wrote is kept as it was written, case by case, or refused; and so is its size."""

from dataclasses import replace

import pytest

from tests.webapp.cases.manifest.rows import codes, row
from webapp.cases.manifest.reading import MAX_CASES, Manifest, from_csv, from_json, of_request
from webapp.cases.manifest.spec import CaseSpec


@pytest.mark.parametrize(
    ("rows", "error", "line"),
    [
        ('c1,"first,a.jpg\nc2,second,b.jpg\n', (2, "", "not_csv"), 2),
        ('c1,"two\nlines",a.jpg\nc2,"second,b.jpg\nc3,third,c.jpg\n', (3, "", "not_csv"), 4),
        ('c1,"5" wide",a.jpg\n', (2, "", "not_csv"), 2),
    ],
)
def test_a_quote_that_is_not_closed_swallows_no_row(rows: str, error: tuple[int, str, str], line: int) -> None:
    found = from_csv(f"case_id,notes,images\n{rows}".encode())
    assert codes(found) == [error]
    assert f"The row that begins in line {line} cannot be read" in found.errors[0].message


def test_what_a_table_says_is_never_changed() -> None:
    rows = b'case_id,notes,images\nc1,5" wide,a.jpg\rc2,"5"" wide, ""flat""",b.jpg\r\nc3,"one\rtwo",c.jpg\n'
    assert [case.notes for case in from_csv(rows).checked()] == ['5" wide', '5" wide, "flat"', "one\rtwo"]
    assert codes(from_csv(b"case_id,notes,images\nc1,a\0b,a.jpg\nc\0,,b.jpg\nc3,,c\0.jpg\n")) == [
        (2, "notes", "unprintable"),
        (3, "case_id", "unprintable"),
        (4, "images", "unprintable"),
    ]


@pytest.mark.parametrize(
    ("images", "ids"),
    [
        (["2026.11.21/IMG_0001", "2026.11.21/IMG_0002"], ["2026.11.21/IMG_0001", "2026.11.21/IMG_0002"]),
        (["mole.jpg", "mole.png", "other.png"], ["mole.jpg", "mole.png", "other"]),
        (["ISIC_0024306", "ISIC_0024307"], ["ISIC_0024306", "ISIC_0024307"]),
    ],
)
def test_different_pictures_without_an_id_are_different_cases(images: list[str], ids: list[str]) -> None:
    cases = from_csv("\n".join(["images", *images]).encode()).checked()
    assert [(case.external_id, [*case.filenames]) for case in cases] == [
        (case_id, [image]) for case_id, image in zip(ids, images, strict=True)
    ]


def test_a_picture_without_an_id_does_not_join_a_case_that_has_one() -> None:
    cases = from_csv(b"case_id,images\nmole,a.jpg\n,mole.png\n").checked()
    assert [case.external_id for case in cases] == ["mole", "mole.png"]
    assert codes(from_csv(b"images\nmole.jpg\nmole.jpg\n")) == [(3, "images", "image_repeated")]


def test_ids_that_look_alike_are_alike() -> None:
    composed, parted = "Zo\u00eb", "Zoe\u0308"
    (case,) = from_json([row(case_id=parted, patient_id=parted, images=[f"{parted}.jpg"])]).checked()
    assert (case.external_id, case.patient_id, *case.filenames) == (composed, composed, f"{parted}.jpg")
    repeated = from_json([row(case_id=composed), row(case_id=parted)])
    assert codes(repeated) == [(2, "case_id", "case_id_repeated")]
    of_table = from_csv(f"images\n{composed}.jpg\n{parted}.jpg\n".encode()).checked()
    assert [case.external_id for case in of_table] == [f"{composed}.jpg", f"{composed}.jpg (2)"]


def test_a_request_brings_only_so_many_cases_and_images() -> None:
    within = Manifest(cases=[CaseSpec(external_id=str(n), filenames=["a.jpg", "b.jpg"]) for n in range(MAX_CASES)])
    assert of_request(within) is within
    of_table = from_csv(b"images\n" + b"".join(b"%d.jpg\n" % n for n in range(MAX_CASES + 1)))
    assert codes(of_request(of_table)) == [(1, "cases", "too_many_cases")]
    one_more = replace(within.cases[0], filenames=["a.jpg", "b.jpg", "c.jpg"])
    assert codes(of_request(Manifest(cases=[one_more, *within.cases[1:]]))) == [(1, "images", "too_many_images")]
