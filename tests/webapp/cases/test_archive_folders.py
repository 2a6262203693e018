"""Files of one name in several folders of a ZIP: none is lost, and none becomes another patient's."""

from datetime import timedelta

import pytest
from django.utils import timezone
from urllib3.util import parse_url

from tests.ml.imaging.samples import zipped
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.cases.zips import codes, expand_next, images, photo, sent
from webapp import storage
from webapp.cases.manifest.filenames import TOLD_APART, Files
from webapp.cases.models import Archive, Batch

FOLDERS = {f"export/patient{n}/{name}": photo(n) for n, name in [(1, "1.jpg"), (2, "1.jpg"), (2, "2.jpg")]}


@pytest.mark.django_db(transaction=True)
def test_a_table_names_files_with_as_much_of_their_folders_as_it_needs() -> None:
    table = b"case_id,images\nc1,patient1/1.jpg\nc2,Export/Patient2/1;2.jpg\nc3,1.jpg\nc4,patient3/1.jpg\n"
    batch = sent(Clinic(), zipped({"cases.csv": table, **FOLDERS, "export/left.jpg": photo(9)}))
    archive = expand_next()
    assert images(batch) == [
        ("c1", "export/patient1/1.jpg", "stored"),
        ("c2", "2.jpg", "stored"),
        ("c2", "export/patient2/1.jpg", "stored"),
    ]
    assert codes(archive) == [("row 4", "image_ambiguous"), ("", "files_missing"), ("export/left.jpg", "not_in_table")]
    assert "export/patient1/1.jpg, export/patient2/1.jpg." in archive.report[0]["message"]
    assert "patient3/1.jpg" in archive.report[1]["message"]
    first = batch.images.get(case__external_id="c1")
    assert storage.read(first.upload_key) == FOLDERS["export/patient1/1.jpg"]


@pytest.mark.django_db(transaction=True)
def test_cases_that_were_listed_before_name_files_with_their_folders_too() -> None:
    clinic = Clinic()
    rows = [case("c1", "patient1/1.jpg"), case("c2", "1.jpg"), case("c3", "2.jpg")]
    made = good(clinic.post("/batches", {"archive": True, "cases": rows}), 201)
    assert clinic.http.put(parse_url(made["archive_upload"]["url"]).request_uri, zipped(FOLDERS)).status_code == 204
    good(clinic.post(f"/batches/{made['id']}/archive/complete"), 202)
    archive = expand_next()
    assert images(Batch.objects.get()) == [
        ("c1", "export/patient1/1.jpg", "stored"),
        ("c2", "1.jpg", "awaiting_upload"),
        ("c3", "2.jpg", "stored"),
    ]
    assert codes(archive) == [("1.jpg", "image_ambiguous"), ("export/patient2/1.jpg", "not_in_table")]


@pytest.mark.django_db(transaction=True)
def test_who_submits_before_the_archive_came_or_with_nothing_of_it_is_told_of_the_archive() -> None:
    clinic = Clinic()
    early = good(clinic.post("/batches", {"archive": True}), 201)
    assert problem(clinic.post(f"/batches/{early['id']}/submit"), 409)["code"] == "upload_missing"
    batch = sent(clinic, zipped({"inner.zip": zipped({"1.jpg": photo()})}))
    assert codes(expand_next()) == [("inner.zip", "nested_archive")]
    for allowed in (False, True):
        told = problem(clinic.post(f"/batches/{batch.pk}/submit", {"allow_missing": allowed}), 409)
        assert (told["code"], "allow_missing" in told["detail"]) == ("archive_incomplete", False)
    none = clinic.create(case())
    told = problem(clinic.post(f"/batches/{none['id']}/archive/complete"), 409)
    assert (told["code"], "without `archive`" in told["detail"]) == ("upload_missing", True)


@pytest.mark.django_db(transaction=True)
def test_an_archive_whose_time_is_over_is_asked_for_no_more() -> None:
    clinic = Clinic()
    late = good(clinic.post("/batches", {"archive": True}), 201)
    Archive.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert problem(clinic.post(f"/batches/{late['id']}/submit"), 422)["code"] == "batch_empty"
    told = problem(clinic.post(f"/batches/{late['id']}/archive/complete"), 409)
    assert (told["code"], told["detail"].endswith("Send it in a new batch.")) == ("upload_missing", True)


@pytest.mark.django_db(transaction=True)
def test_cases_that_were_listed_before_an_archive_of_which_nothing_was_taken_are_not_spent() -> None:
    clinic = Clinic()
    made = good(clinic.post("/batches", {"archive": True, "cases": [case("c1"), case("c2")]}), 201)
    assert clinic.http.put(parse_url(made["archive_upload"]["url"]).request_uri, b"no ZIP").status_code == 204
    good(clinic.post(f"/batches/{made['id']}/archive/complete"), 202)
    assert codes(expand_next()) == [("", "not_an_archive")]
    url = f"/batches/{made['id']}/submit"
    assert problem(clinic.post(url), 409)["code"] == "uploads_incomplete"
    told = problem(clinic.post(url, {"allow_missing": True}), 409)
    assert (told["code"], "allow_missing" in told["detail"]) == ("archive_incomplete", False)
    assert {state for _, _, state in images(Batch.objects.get())} == {"awaiting_upload"}

    clinic.upload(made["images"][0], photo())
    assert good(clinic.post(url, {"allow_missing": True}))["state"] == "submitted"


@pytest.mark.django_db(transaction=True)
def test_what_an_archive_leaves_out_is_given_up_knowingly() -> None:
    clinic = Clinic()
    batch = sent(clinic, zipped({"cases.csv": b"images\n1.jpg\n2.jpg\n", "1.jpg": photo()}))
    assert codes(expand_next()) == [("", "files_missing")]
    url = f"/batches/{batch.pk}/submit"
    assert problem(clinic.post(url), 409)["code"] == "archive_incomplete"
    assert good(clinic.get(f"/batches/{batch.pk}"))["state"] == "open"
    assert good(clinic.post(url, {"allow_missing": True}))["state"] == "submitted"
    assert good(clinic.post(url))["state"] == "submitted"  # what was submitted is not asked about again


@pytest.mark.django_db(transaction=True)
def test_an_archive_that_was_taken_whole_is_submitted_as_it_is() -> None:
    clinic = Clinic()
    batch = sent(clinic, zipped(FOLDERS))
    expand_next()
    assert set(batch.cases.values_list("capture", flat=True)) == {"unknown"}  # nobody said how they were taken
    assert good(clinic.post(f"/batches/{batch.pk}/submit"))["state"] == "submitted"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("named", "refused", "code"),
    [
        ("x/1.jpg", {"/x/1.jpg": b"x", "/y/1.jpg": b"y"}, "unsafe_name"),
        ("x/1.jpg", {"../x/1.jpg": b"x", "../y/1.jpg": b"y"}, "unsafe_name"),
        ("sp ace", {"sp ace.jpg ": zipped({"x": b"x"})}, "nested_archive"),
    ],
    ids=["root", "climbs", "space"],
)
def test_a_file_that_is_refused_is_awaited_no_more_whatever_its_path_begins_or_ends_with(
    named: str, refused: dict[str, bytes], code: str
) -> None:
    batch = sent(Clinic(), zipped({"cases.csv": f"images\n{named}\n".encode(), **refused}))
    archive = expand_next()
    assert set(codes(archive)) == {(name, code) for name in refused}
    image = batch.images.get()
    assert (image.filename, image.state, image.reason) == (next(iter(refused)), "rejected", code)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("named", "name"), [("a", "a.\0jpg"), ("x" * 252, "x" * 252 + ".jpeg")], ids=["NUL", "too long"]
)
def test_a_name_that_no_image_can_have_fails_no_archive(named: str, name: str) -> None:
    files = {name.replace("\0", "!"): photo(1), "b.jpg": photo(2)}
    data = zipped({"cases.csv": f"images\n{named}\nb.jpg\n".encode(), **files})
    batch = sent(Clinic(), data.replace(b"a.!jpg", b"a.\0jpg"))
    assert [code for _, code in codes(expand_next())] == ["files_missing", "unsafe_name"]
    assert images(batch) == [("b", "b.jpg", "stored")]


NUMBERS = "12345678"
PATHS = [
    "1.jpg",
    "P1/1.jpg",
    "P2/1.jpg",
    "P2/1.png",
    "P2/été.jpg",
    "a/x",
    "a/x.png",
    *(f"{n}/many.jpg" for n in NUMBERS),
    *["a/twice.jpg"] * TOLD_APART,
    "b/twice.jpg",
]


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("1.jpg", ["1.jpg"]),  # a whole path, though longer ones end so
        ("p1/1", ["P1/1.jpg"]),
        ("P2/1", ["P2/1.jpg", "P2/1.png"]),
        ("2/1.jpg", []),  # a part of a folder's name is none
        ("1.png", ["P2/1.png"]),
        ("E\u0301TE\u0301", ["P2/été.jpg"]),
        ("x", ["a/x"]),
        ("P3/1.jpg", []),
        ("twice.jpg", ["a/twice.jpg", "b/twice.jpg"]),
        ("many.jpg", [f"{n}/many.jpg" for n in NUMBERS[:TOLD_APART]]),
    ],
)
def test_a_name_means_the_files_that_end_so(wanted: str, meant: list[str]) -> None:
    assert Files((path, path) for path in PATHS).meant(wanted) == meant
