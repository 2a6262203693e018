"""Manifests: what is understood, and that no mistake is missed and no input breaks the reader."""

import csv
import io
import json
import tracemalloc
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webapp.cases.manifest.rows import codes, row
from webapp.cases.manifest.reading import MAX_CASES, Manifest, from_csv, from_json
from webapp.cases.manifest.spec import CaseSpec
from webapp.errors import Problem


@pytest.mark.parametrize(
    ("said", "patient"),
    [
        ({}, ""),
        ({"patient_id": " "}, ""),
        ({"patient_id": None, "lesion_id": "L1"}, ""),
        ({"lesion_id": "L1", "patient_id": " p1"}, "p1"),
    ],
)
def test_only_a_patient_id_says_whose_a_case_is(said: dict[str, str | None], patient: str) -> None:
    (of_json,) = from_json([{"case_id": "c1", "images": ["a.jpg"], **said}]).checked()
    table = {"case_id": "c1", "images": "a.jpg", **{name: value or "" for name, value in said.items()}}
    (of_csv,) = from_csv("\n".join([",".join(table), ",".join(table.values())]).encode()).checked()
    assert of_json.patient_id == of_csv.patient_id == patient


def test_a_mistake_is_said_once() -> None:
    found = from_json([{"case_id": "c1", "lesion_id": ["L1"], "images": ["a.jpg"]}, {"images": ["a.jpg"]}])
    assert codes(found) == [(1, "lesion_id", "not_text"), (2, "case_id", "required")]


def test_a_full_row_is_read() -> None:
    fields = {
        "lesion_id": "L1",
        "age": 61,
        "sex": "F",
        "anatom_site": "lower extremity",
        "capture": "Dermatoscopic",
        "notes": "two\nlines",
        "patient_email": "p@home.example",
        "patient_date_of_birth": "1964-02-29",
    }
    (case,) = from_json([row(images=["a.jpg", "b.jpg"], **fields)]).checked()
    assert case == CaseSpec(
        external_id="c1",
        patient_id="p1",
        filenames=("a.jpg", "b.jpg"),
        lesion_id="L1",
        age=61,
        sex="female",
        anatom_site="lower extremity",
        capture="dermoscopic",
        notes="two\nlines",
        patient_email="p@home.example",
        patient_date_of_birth=date(1964, 2, 29),
    )


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"case_id": ""}, ("case_id", "required")),
        ({"case_id": None}, ("case_id", "required")),
        ({"case_id": "x" * 101}, ("case_id", "too_long")),
        ({"case_id": 10**200}, ("case_id", "too_long")),
        ({"case_id": True}, ("case_id", "not_text")),
        ({"case_id": "a\0b"}, ("case_id", "unprintable")),
        ({"case_id": "\ud800"}, ("case_id", "unprintable")),
        ({"patient_id": ["p"]}, ("patient_id", "not_text")),
        ({"age": -1}, ("age", "age_invalid")),
        ({"age": 121}, ("age", "age_invalid")),
        ({"age": 60.5}, ("age", "age_invalid")),
        ({"age": float("inf")}, ("age", "age_invalid")),
        ({"age": "old"}, ("age", "age_invalid")),
        ({"age": True}, ("age", "age_invalid")),
        ({"sex": "woman"}, ("sex", "sex_invalid")),
        ({"sex": "x"}, ("sex", "sex_invalid")),
        ({"anatom_site": "Mars"}, ("anatom_site", "anatom_site_unknown")),
        ({"anatom_site": "ear " + "\u0130" * 56}, ("anatom_site", "too_long")),
        ({"anatom_site": "42"}, ("anatom_site", "anatom_site_unknown")),
        ({"capture": "xray"}, ("capture", "capture_invalid")),
        ({"anatom_site": "x" * 61}, ("anatom_site", "too_long")),
        ({"notes": "x" * 5001}, ("notes", "too_long")),
        ({"notes": "\x1b[31m"}, ("notes", "unprintable")),
        ({"patient_email": "nobody"}, ("patient_email", "email_invalid")),
        ({"patient_date_of_birth": "01/02/1964"}, ("patient_date_of_birth", "date_invalid")),
        ({"patient_date_of_birth": "2999-01-01"}, ("patient_date_of_birth", "date_invalid")),
        ({"patient_date_of_birth": "1850-01-01"}, ("patient_date_of_birth", "date_invalid")),
        ({"images": []}, ("images", "images_missing")),
        ({"images": "a.jpg"}, ("images", "images_missing")),
        ({"images": ["a.jpg", "a.jpg"]}, ("images", "image_repeated")),
        ({"images": [f"{n}.jpg" for n in range(21)]}, ("images", "too_many_images")),
        ({"images": ["../a.jpg"]}, ("images", "filename_invalid")),
        ({"images": ["/a.jpg"]}, ("images", "filename_invalid")),
        ({"images": ["p1//a.jpg"]}, ("images", "filename_invalid")),
        ({"images": ["p1/../a.jpg"]}, ("images", "filename_invalid")),
        ({"images": ["a\\b.jpg"]}, ("images", "filename_invalid")),
        ({"images": [".."]}, ("images", "filename_invalid")),
        ({"images": [7]}, ("images", "filename_invalid")),
        ({"images": ["x" * 256]}, ("images", "too_long")),
        ({"dx": "mel"}, ("dx", "unknown_field")),
    ],
)
def test_each_mistake_has_its_code(fields: dict[str, Any], error: tuple[str, str]) -> None:
    manifest = from_json([row(**fields)])
    assert codes(manifest) == [(1, *error)]
    assert all(e.message.endswith(".") for e in manifest.errors)
    assert not manifest.cases


def test_what_is_left_out_has_its_default() -> None:
    (case,) = from_json([row(age=None, sex="", anatom_site="unknown", patient_email="")]).checked()
    assert (case.age, case.sex, case.anatom_site, case.capture) == (None, "unknown", "", "unknown")
    assert from_json([row(capture="N/A")]).checked()[0].capture == from_csv(b"images\na.jpg\n").checked()[0].capture


def test_a_list_is_a_list_of_objects_and_not_too_long() -> None:
    assert codes(from_json({"case_id": "x"})) == [(1, "cases", "not_a_list")]
    assert codes(from_json([row(), 7])) == [(2, "", "not_an_object")]
    assert codes(from_json([0] * (MAX_CASES + 1))) == [(1, "cases", "too_many_cases")]


def test_a_repeated_id_is_said_beside_other_mistakes() -> None:
    found = from_json([row(age=-1), row(), row(sex="woman"), row(case_id=" c1 "), {"images": ["a.jpg"]}])
    assert codes(found) == [
        (1, "age", "age_invalid"),
        (2, "case_id", "case_id_repeated"),
        (3, "sex", "sex_invalid"),
        (3, "case_id", "case_id_repeated"),
        (4, "case_id", "case_id_repeated"),
        (5, "case_id", "required"),
    ]


def test_of_thousands_of_mistakes_a_thousand_are_listed_and_all_counted() -> None:
    with pytest.raises(Problem) as problem:
        from_json([row(case_id=str(n), age=-1) for n in range(3000)]).checked()
    assert problem.value.details["error_count"] == 3000
    assert len(problem.value.details["errors"]) == 1000  # type: ignore[arg-type]


def test_rows_of_one_case_are_its_images() -> None:
    table = "case_id;patient_id;image;age\r\nc1;p1;a.jpg;50\r\nc2;p2;b.jpg;\r\nc1;p1;c.jpg;50\r\n\r\n"
    cases = from_csv(("\ufeff" + table).encode()).checked()
    assert [(c.external_id, list(c.filenames), c.age) for c in cases] == [
        ("c1", ["a.jpg", "c.jpg"], 50),
        ("c2", ["b.jpg"], None),
    ]


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ("case_id,patient_id,images\nc1,p1,a.jpg\nc1,p2,b.jpg\n", (3, "case_id", "case_id_conflict")),
        ("case_id,patient_id,images\nc1,p1,a.jpg\nc1,p1,a.jpg\n", (3, "images", "image_repeated")),
        ("case_id,patient_id,images\nc1,p1\n", (2, "", "wrong_cells")),
        ("case_id,patient_id\nc1,p1\n", (1, "images", "column_missing")),
        ("case_id,case_id,images\nc1,p1,a.jpg\n", (1, "case_id", "column_repeated")),
        ("image_id,file\na,b\n", (1, "images", "column_repeated")),
        ("images,shoe size\na.jpg,44\n", (1, "shoe_size", "unknown_column")),
        ("case_id\n", (1, "images", "column_missing")),
        ("", (1, "", "table_empty")),
        ("\ufeff\r\n", (1, "", "table_empty")),
        ("case_id,patient_id,images\r\n\r\n,,\r\n", (1, "", "rows_missing")),
        ("images\n" + '"' + "x" * 200_000 + '"\n', (2, "", "not_csv")),
    ],
)
def test_a_table_with_a_mistake_says_where(table: str, error: tuple[int, str, str]) -> None:
    assert error in codes(from_csv(table.encode()))


@pytest.mark.parametrize("table", [",image_id,dx\n0,a.jpg,nv\n", "case_id,images,,\na,a.jpg,,\n"])
def test_a_column_without_a_name_is_left_unread(table: str) -> None:
    (found,) = from_csv(table.encode()).checked()
    assert (found.external_id, found.filenames) == ("a", ("a.jpg",))


@pytest.mark.parametrize(("name", "meant"), [("external_id", "case_id"), ("Body site", "anatom_site")])
def test_a_name_that_others_use_is_asked_after(name: str, meant: str) -> None:
    (of_csv,) = from_csv(f"{name},images\nx,a.jpg\n".encode()).errors
    (of_json,) = from_json([row(**{of_csv.field: "x"})]).errors
    assert of_csv.message == of_json.message
    assert of_csv.message.startswith(f"Did you mean {meant}? Rename or remove it.")


def test_a_table_that_is_no_text_is_refused() -> None:
    assert codes(from_csv(b"\xff\xfe")) == [(1, "", "not_utf8")]


def test_a_way_of_taking_holds_for_the_rows_without_one() -> None:
    cases = from_csv(b"images,capture\na.jpg,\nb.jpg,clinical\n", capture="phone").checked()
    assert [case.capture for case in cases] == ["phone", "clinical"]
    of_json = from_json([row(case_id="a"), row(case_id="b", capture="clinical")], capture="phone").checked()
    assert [case.capture for case in of_json] == ["phone", "clinical"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["case_id", "patient_id", "age", "sex", "notes", "images", "patient_email", "patient_date_of_birth", "other"]


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=9), max_size=5) | VALUES)
def test_any_json_gives_sound_cases_or_errors(rows: Any) -> None:
    manifest = from_json(rows)
    assert json.dumps([vars(error) for error in manifest.errors])
    check_sound(manifest)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_give_sound_cases_or_errors(data: bytes) -> None:
    check_sound(from_csv(data))
    check_sound(from_csv(b"case_id,patient_id,images,age,notes\n" + data))


IDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)


@given(st.dictionaries(IDS, st.lists(IDS.map("{}.jpg".format), min_size=1, max_size=3, unique=True), min_size=1))
def test_a_table_says_the_same_as_json(cases: dict[str, list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["case_id", "patient_id", "images"])
    for name, images in cases.items():
        for image in images:
            writer.writerow([name, "p", image])
    listed = from_json([row(case_id=name, patient_id="p", images=images) for name, images in cases.items()])
    assert from_csv(text.getvalue().encode()).checked() == listed.checked()


def check_sound(manifest: Manifest) -> None:
    for error in manifest.errors:
        assert error.row >= 1
        assert error.code
        assert error.message
    for case in manifest.cases:
        assert 1 <= len(case.external_id) <= 100
        assert len(case.patient_id) <= 100
        assert case.age is None or 0 <= case.age <= 120
        assert case.filenames
        for value in (case.external_id, case.patient_id, case.notes, *case.filenames):
            value.encode()
            assert "\0" not in value


def test_a_table_of_endless_columns_is_refused_at_once() -> None:
    (error,) = from_csv(b"," * 1_000_000 + b"\n").errors
    assert error.code == "too_many_columns"


def test_a_cell_of_endless_names_is_refused_in_little_memory() -> None:
    table = ("images\n" + f"{'aa;' * 40_000}\n" * 20).encode()  # 2 MB, of which 47 were built
    tracemalloc.start()
    try:
        found = from_csv(table)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {error.code for error in found.errors} == {"too_many_images"}
    assert most < 20 * 1024**2


def test_a_case_of_endless_unknown_fields_is_refused_in_little_memory() -> None:
    row = {"case_id": "a", "patient_id": "b", "images": ["a.jpg"], **{f"x{n}": 1 for n in range(10_000)}}
    assert {error.code for error in from_json([row]).errors} == {"unknown_field"}
    assert len(from_json([row]).errors) == 20
