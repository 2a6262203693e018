"""A ZIP of images becomes the images of a batch, whatever else it holds and whoever dies on the way."""

import uuid
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from urllib3.util import parse_url

from ml.imaging.archive import Archive as ZipArchive
from tests.factories import ArchiveFactory, OrganisationFactory
from tests.ml.imaging.samples import zipped
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.cases.zips import codes, expand_next, images, photo, sent
from webapp import storage
from webapp.accounts.models import Organisation
from webapp.cases import unpacking
from webapp.cases.archives import claim_archive, sweep_archives
from webapp.cases.left_out import UNSAFE_NAME
from webapp.cases.models import Archive, Batch
from webapp.cases.unpacking import expand

pytestmark = pytest.mark.django_db(transaction=True)

HAM10000 = b"""lesion_id,image_id,dx,dx_type,age,sex,localization,dataset
HAM_1,ISIC_1,mel,histo,80.0,male,scalp,vidir_modern
HAM_1,ISIC_2,mel,histo,80.0,male,scalp,vidir_modern
HAM_2,ISIC_3,nv,follow_up,,unknown,unknown,rosendahl
HAM_9,ISIC_9,nv,follow_up,30.0,female,back,rosendahl
"""


def test_without_a_table_each_image_is_a_case() -> None:
    clinic = Clinic()
    files = {"a/1.jpg": photo(1), "b/2.jpg": photo(2), "2.png": photo(3), "b/1.jpg": photo(4), "../../x.jpg": b"x"}
    batch = sent(clinic, zipped({**files, "__MACOSX/1.jpg": b"x", "a/": b""}), capture="phone")
    archive = expand_next()
    assert archive.state == Archive.State.EXPANDED
    assert images(batch) == [
        ("2.jpg", "2.jpg", "stored"),
        ("2.png", "2.png", "stored"),
        ("a/1", "a/1.jpg", "stored"),
        ("b/1", "b/1.jpg", "stored"),
    ]
    assert codes(archive) == [("../../x.jpg", "unsafe_name")]
    assert "holds “..”" in archive.report[0]["message"]
    assert set(batch.cases.values_list("capture", flat=True)) == {"phone"}
    assert storage.size(archive.key) is None
    detail = good(clinic.get(f"/batches/{batch.pk}"))
    assert (detail["archive"]["state"], detail["progress"]["images"]["stored"]) == ("expanded", 4)
    for name in ("2.png", "a/1.jpg", "b/1.jpg"):
        assert storage.read(batch.images.get(filename=name).upload_key) == files[name]


def test_the_published_table_of_ham10000_is_understood_and_its_diagnosis_left_unread() -> None:
    names = ["HAM10000_images/ISIC_1.jpg", "HAM10000_images/ISIC_2.jpg", "HAM10000_images/ISIC_3.jpg", "other.jpg"]
    files = {name: photo(n) for n, name in enumerate(names)}
    batch = sent(Clinic(), zipped({"HAM10000_metadata.csv": HAM10000, **files}))
    archive = expand_next()
    assert images(batch) == [(f"ISIC_{n}", f"ISIC_{n}.jpg", "stored") for n in (1, 2, 3)]
    assert codes(archive) == [("", "files_missing"), ("other.jpg", "not_in_table")]
    assert archive.report[0]["message"].endswith("1 in all: ISIC_9. Left out.")
    first = batch.cases.get(external_id="ISIC_1")
    assert (first.age, first.sex, first.anatom_site, first.lesion_id) == (80, "male", "scalp", "HAM_1")
    assert first.patient == batch.cases.get(external_id="ISIC_2").patient
    third = batch.cases.get(external_id="ISIC_3")
    assert (third.age, third.sex, third.anatom_site) == (None, "unknown", "")
    stored = [str(value) for case in batch.cases.all() for value in vars(case).values()]
    assert not {"mel", "nv", "histo"} & set(stored)


def test_bad_rows_and_entries_are_listed_and_the_rest_goes_on() -> None:
    table = b"case_id,patient_id,images,age\nc1,p,a.jpg;b.jpg,50\nc2,p,c.jpg,500\nc3,p,nested.jpg,\n"
    files = {"a.jpg": photo(1), "b.jpg": photo(2), "c.jpg": photo(3), "nested.jpg": zipped({"x": b"x"})}
    batch = sent(Clinic(), zipped({"cases.csv": table, **files}))
    archive = expand_next()
    assert archive.state == Archive.State.EXPANDED
    assert images(batch) == [
        ("c1", "a.jpg", "stored"),
        ("c1", "b.jpg", "stored"),
        ("c3", "nested.jpg", "rejected"),
    ]
    assert codes(archive) == [
        ("row 3", "age_invalid"),
        ("c.jpg", "not_in_table"),
        ("nested.jpg", "nested_archive"),
    ]
    assert batch.images.get(filename="nested.jpg").reason == "nested_archive"


def test_a_file_whose_name_cannot_be_shown_is_not_awaited_by_the_case_that_names_it() -> None:
    name = "a\u200bb.jpg"
    batch = sent(Clinic(), zipped({"cases.csv": f"images\n{name}\n".encode(), name: photo(), "b\a.jpg": photo(1)}))
    archive = expand_next()
    assert codes(archive) == [("a\ufffdb.jpg", "unsafe_name"), ("b\ufffd.jpg", "unsafe_name")]
    assert [(filename, state) for _, filename, state in images(batch)] == [(name, "rejected")]
    assert batch.images.get().advice == UNSAFE_NAME


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GIF89a", "not_an_archive"),
        (b"PK\3\4" + b"\0" * 100, "corrupt_archive"),
        (zipped({"a.csv": b"images\n", "b.csv": b"images\n"}), "several_manifests"),
        (zipped({"a.csv": b"colour,images\nred,a.jpg\n", "a.jpg": b"x"}), "manifest_invalid"),
        (zipped({"a.csv": b"\xff\xfe\0", "a.jpg": b"x"}), "manifest_invalid"),
    ],
    # The bytes of a ZIP hold the time: a test named after them has another name in the suite's other process.
    ids=["a picture", "no directory", "two manifests", "wrong column", "not text"],
)
def test_an_archive_that_is_none_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    clinic = Clinic()
    batch = sent(clinic, data)
    archive = expand_next()
    assert (archive.state, archive.reason) == (Archive.State.REFUSED, reason)
    assert archive.report[0]["code"] == reason
    assert archive.report[0]["message"].endswith("into a new batch.")
    assert not batch.images.exists()
    for allowed in (False, True):
        told = problem(clinic.post(f"/batches/{batch.pk}/submit", {"allow_missing": allowed}), 409)
        assert (told["code"], told["detail"].partition(":")[0]) == ("archive_incomplete", "The archive was refused")
        assert told["detail"].endswith("in a new batch, with a new Idempotency-Key.")


def test_a_worker_that_dies_is_followed_by_one_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "CHUNK_ENTRIES", 2)
    batch = sent(Clinic(), zipped({f"{n}.jpg": photo(n) for n in range(7)}))
    leased = claim_archive()
    assert leased is not None
    assert claim_archive() is None
    write, written = storage.write, []

    def dying(key: str, data: bytes) -> None:
        written.append(key)
        if len(written) == 4:
            raise OSError("the machine went away")
        write(key, data)

    monkeypatch.setattr(storage, "write", dying)
    with pytest.raises(OSError, match="went away"):
        expand(*leased)
    monkeypatch.setattr(storage, "write", write)
    assert (batch.images.count(), batch.images.filter(state="stored").count()) == (7, 2)
    assert sweep_archives() == 0

    Archive.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep_archives() == 1
    archive = expand_next()
    assert (archive.state, archive.attempt, archive.report) == (Archive.State.EXPANDED, 2, [])
    assert images(batch) == [(str(n), f"{n}.jpg", "stored") for n in range(7)]
    assert not expand(*leased)  # the late worker finds that nothing is its own any more


def test_an_archive_for_cases_that_are_known_is_gone_on_with_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases without the endings of their files, one naming a file twice: nothing is doubled, nothing lost."""
    monkeypatch.setattr(unpacking, "CHUNK_ENTRIES", 1)
    clinic = Clinic()
    rows = [case("c1", "1", "2.jpg"), case("c2", "3", "3.jpg"), case("c3", "4")]
    batch = good(clinic.post("/batches", {"archive": True, "cases": rows}), 201)
    files = {f"{n}.jpg": photo(n) for n in (1, 2, 3, 5)}
    assert clinic.http.put(parse_url(batch["archive_upload"]["url"]).request_uri, zipped(files)).status_code == 204
    good(clinic.post(f"/batches/{batch['id']}/archive/complete"), 202)
    leased = claim_archive()
    assert leased is not None
    write = storage.write

    def dying(key: str, data: bytes) -> None:
        if data == files["2.jpg"]:
            raise OSError("the machine went away")
        write(key, data)

    monkeypatch.setattr(storage, "write", dying)
    with pytest.raises(OSError, match="went away"):
        expand(*leased)
    monkeypatch.setattr(storage, "write", write)
    Archive.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep_archives() == 1
    archive = expand_next()
    assert (archive.state, codes(archive)) == (Archive.State.EXPANDED, [("5.jpg", "not_in_table")])
    assert images(Batch.objects.get()) == [
        ("c1", "1.jpg", "stored"),
        ("c1", "2.jpg", "stored"),
        ("c2", "3", "awaiting_upload"),
        ("c2", "3.jpg", "stored"),
        ("c3", "4", "awaiting_upload"),
    ]
    repeat = good(clinic.get(f"/batches/{batch['id']}/images", state="awaiting_upload"))["results"]
    assert [image["filename"] for image in repeat] == ["3", "4"]


def test_organisations_take_turns_with_their_archives() -> None:
    came = iter(range(6))

    def send(clinic: Organisation) -> Archive:
        stored_at = timezone.now() + timedelta(seconds=next(came))
        archive: Archive = ArchiveFactory(batch__organisation=clinic, state="stored", stored_at=stored_at)
        return archive

    large, small = OrganisationFactory(), OrganisationFactory()
    many = [send(large) for _ in range(4)]
    few = [send(small) for _ in range(2)]

    def claimed() -> Archive:
        leased = claim_archive()
        assert leased is not None
        return leased[1]

    assert [claimed() for _ in range(3)] == [many[0], few[0], many[1]]
    Archive.objects.filter(pk=few[0].pk).update(state="expanded", lease_token=None, lease_until=None)
    assert [claimed(), claimed(), claimed()] == [few[1], many[2], many[3]]
    assert claim_archive() is None


def test_an_archive_waits_from_when_it_has_come() -> None:
    clinic = Clinic()
    slow = good(clinic.post("/batches", {"archive": True}), 201)
    quick = sent(clinic, zipped({"1.jpg": photo()}))
    address = slow["archive_upload"]["url"].removeprefix("http://127.0.0.1:8000")
    assert clinic.http.put(address, zipped({"2.jpg": photo()}), "application/zip").status_code == 204
    good(clinic.post(f"/batches/{slow['id']}/archive/complete"), 202)
    assert [expand_next().batch_id for _ in range(2)] == [quick.pk, uuid.UUID(slow["id"])]


def test_an_archive_that_kills_its_workers_is_given_up(settings: Any) -> None:
    sent(Clinic(), zipped({"1.jpg": photo()}))
    for _ in range(settings.MAX_ATTEMPTS):
        assert claim_archive() is not None
        Archive.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert sweep_archives() == 1
    archive = Archive.objects.get()
    assert (archive.state, archive.reason) == (Archive.State.REFUSED, "archive_failed")
    assert archive.report[0]["message"].endswith("into a new batch.")
    assert claim_archive() is None


def test_an_archive_as_large_as_the_site_takes_may_unpack_to_more(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = mock.Mock(wraps=ZipArchive)
    monkeypatch.setattr(unpacking, "ZipArchive", opened)
    settings.IMPORT_MAX_BYTES = 8 * 1024**3
    sent(Clinic(), zipped({"1.jpg": photo()}))
    assert expand_next().state == Archive.State.EXPANDED
    assert [call.args[1].total_bytes > settings.IMPORT_MAX_BYTES for call in opened.call_args_list] == [True, True]


def test_one_that_is_uploaded_again_after_it_was_unpacked_is_swept(settings: Any) -> None:
    sent(Clinic(), zipped({"1.jpg": photo()}))
    archive = expand_next()
    storage.write(archive.key, b"again, by a URL that is still valid")
    assert sweep_archives() == 0
    assert storage.size(archive.key) is not None
    Archive.objects.update(forget_at=F("forget_at") - timedelta(seconds=settings.UPLOAD_URL_SECONDS))
    assert sweep_archives() == 1
    assert storage.size(archive.key) is None
    assert sweep_archives() == 0


def test_the_sweep_finds_its_few_archives_among_many_that_have_ended() -> None:
    now, organisation = timezone.now(), OrganisationFactory()
    ended = [Batch(organisation=organisation, source="api", state="cancelled", finished_at=now) for _ in range(1000)]
    Batch.objects.bulk_create(ended)
    Archive.objects.bulk_create(Archive(batch=batch, state="expanded") for batch in ended)
    sent(Clinic(), zipped({"1.jpg": photo()}))
    with connection.cursor() as cursor, CaptureQueriesContext(connection) as captured:
        cursor.execute("ANALYZE cases_archive, cases_batch")
        sweep_archives()
        assert claim_archive() is not None
        asked = [query["sql"] for query in captured if 'FROM "cases_archive"' in query["sql"]]
        assert len(asked) >= 5
        for sql in asked:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan on cases_archive" not in plan, f"{sql}\n{plan}"


def test_completing_an_archive_twice_or_too_early() -> None:
    clinic = Clinic()
    empty = good(clinic.post("/batches", {"archive": True}), 201)
    assert problem(clinic.post(f"/batches/{empty['id']}/archive/complete"), 409)["code"] == "upload_missing"
    batch = sent(clinic, zipped({"1.jpg": photo()}))
    good(clinic.post(f"/batches/{batch.pk}/archive/complete"), 202)
    assert Archive.objects.filter(state="stored").count() == 1
