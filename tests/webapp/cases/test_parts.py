"""Files in parts, on a local folder: in any order, again after a broken connection, and given up in the end."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from urllib3.util import parse_url

from tests.factories import ArchiveFactory
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.elsewhere import elsewhere, is_free
from webapp import multipart, storage
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.archives import sweep_archives
from webapp.cases.models import Archive, Batch, Image, PartedUpload
from webapp.cases.parts import forget_unknown_parts, sweep_parts
from webapp.cases.services import cancel_batch

pytestmark = pytest.mark.django_db
DATA = random.Random(7).randbytes(2500)


@pytest.fixture(autouse=True)
def folder(storage_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty local storage, and parts small enough for a test."""
    monkeypatch.setattr(multipart, "PART_BYTES", 1000)
    return storage_folder


def asked(clinic: Clinic, url: str, size: int = len(DATA)) -> list[dict[str, Any]]:
    return list(good(clinic.post(f"{url}/parts", {"size": size}))["parts"])


def put(clinic: Clinic, part: dict[str, Any], data: bytes) -> Any:
    address = parse_url(part["upload"]["url"]).request_uri
    return clinic.http.put(address, data, "application/octet-stream")


def piece(part: dict[str, Any]) -> bytes:
    begin = 1000 * (part["number"] - 1)
    return DATA[begin : begin + part["size"]]


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["image", "archive"])
def test_a_broken_upload_goes_on_with_the_parts_that_are_missing(kind: str, folder: Path) -> None:
    clinic = Clinic()
    batch = clinic.create(case(), archive=True)
    image = Image.objects.get()
    url, key, done = {
        "image": (f"/images/{image.pk}", image.upload_key, 200),
        "archive": (f"/batches/{batch['id']}/archive", f"archives/{batch['id']}.zip", 202),
    }[kind]

    parts = asked(clinic, url)
    assert [(part["number"], part["size"]) for part in parts] == [(1, 1000), (2, 1000), (3, 500)]
    for number in (3, 1):
        assert put(clinic, parts[number - 1], piece(parts[number - 1])).status_code == 204
    assert put(clinic, parts[1], b"cut off").status_code == 403
    assert problem(clinic.post(f"{url}/complete"), 409)["parts"] == [2]

    rest = asked(clinic, url)
    assert [part["number"] for part in rest if part["upload"]] == [2]
    assert put(clinic, rest[1], piece(rest[1])).status_code == 204
    assert good(clinic.post(f"{url}/complete"), done)["state"] == "stored"
    assert storage.read(key) == DATA
    assert files(folder) == [folder / key]
    assert not PartedUpload.objects.exists()
    assert good(clinic.post(f"{url}/complete"), done)["state"] == "stored"
    assert put(clinic, rest[1], piece(rest[1])).json()["code"] == "not_awaited"
    assert problem(clinic.post(f"{url}/parts", {"size": 5}), 409)["code"] == "not_awaited"


def test_another_size_or_giving_up_begins_anew(folder: Path) -> None:
    clinic = Clinic()
    url = f"/images/{clinic.create(case())['images'][0]['id']}"
    first = asked(clinic, url)
    put(clinic, first[0], piece(first[0]))

    assert [part["size"] for part in asked(clinic, url, 1200)] == [1000, 200]
    assert put(clinic, first[1], piece(first[1])).json()["code"] == "not_awaited"
    assert files(folder) == []

    again = asked(clinic, url)
    put(clinic, again[0], piece(again[0]))
    assert clinic.http.delete(f"/api/v1{url}/parts").status_code == 204
    assert files(folder) == []
    assert problem(clinic.post(f"{url}/complete"), 409)["code"] == "upload_missing"


def test_a_file_beyond_the_limit_is_not_begun(settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 2000
    clinic = Clinic()
    url = f"/images/{clinic.create(case())['images'][0]['id']}/parts"
    assert problem(clinic.post(url, {"size": 2001}), 413)["code"] == "too_large_bytes"
    assert problem(clinic.post(url, {"size": 0}), 400)["errors"][0]["field"] == "size"
    assert not PartedUpload.objects.exists()


def test_the_parts_of_the_largest_file_are_few_and_cover_it() -> None:
    for size in (1, 999, 1000, 1001, 2 * 1024**3, 5 * 1024**4):
        sizes = multipart.part_sizes(size)
        assert sum(sizes) == size
        assert 0 < len(sizes) <= multipart.MAX_PARTS
        assert len(set(sizes[:-1])) <= 1


def test_what_nobody_completes_is_swept(folder: Path, settings: Settings) -> None:
    clinic = Clinic()
    batch = clinic.create(case(), archive=True)
    for url in (f"/images/{batch['images'][0]['id']}", f"/batches/{batch['id']}/archive"):
        parts = asked(clinic, url)
        put(clinic, parts[0], piece(parts[0]))
    assert sweep_parts() == 0
    assert len(files(folder)) == 2

    long_ago = timezone.now() - timedelta(hours=settings.UPLOAD_EXPIRES_HOURS, seconds=1)
    PartedUpload.objects.filter(key__startswith="uploads/").update(created_at=long_ago)
    assert sweep_parts() == 1
    cancel_batch(actor=SYSTEM, batch=Batch.objects.get())
    assert sweep_parts() == 1
    assert files(folder) == []


def test_parts_that_no_row_names_are_forgotten(folder: Path, settings: Settings) -> None:
    clinic = Clinic()
    batch = clinic.create(case("c1"))
    asked(clinic, f"/images/{batch['images'][0]['id']}")
    [known] = PartedUpload.objects.all()
    multipart.begin("uploads/1")  # and its request dies
    assert forget_unknown_parts() == 0
    settings.UPLOAD_EXPIRES_HOURS = 0
    assert (forget_unknown_parts(), forget_unknown_parts()) == (1, 0)
    assert [path.name for path in (folder / "parts").iterdir()] == [known.upload_id]


def test_parts_that_storage_will_not_let_go_do_not_keep_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = Clinic()
    for _ in range(2):
        image = clinic.create(case())["images"][0]["id"]
        parts = asked(clinic, f"/images/{image}")
        put(clinic, parts[0], piece(parts[0]))
    for batch in Batch.objects.all():
        cancel_batch(actor=SYSTEM, batch=batch)
    stuck, abort = PartedUpload.objects.order_by("pk").first(), multipart.abort
    assert stuck is not None

    def refuse(key: str, upload_id: str) -> None:
        if key == stuck.key:
            raise OSError("access denied")
        abort(key, upload_id)

    monkeypatch.setattr(multipart, "abort", refuse)
    assert sweep_parts() == 1
    assert [upload.key for upload in PartedUpload.objects.all()] == [stuck.key]


@pytest.mark.parametrize("end", ["too old", "cancelled", "submitted"])
def test_an_archive_that_nobody_completes_is_deleted_once_no_url_for_it_is_valid(
    end: str, folder: Path, settings: Settings
) -> None:
    archive = ArchiveFactory()
    storage.write(archive.key, b"PK")
    past = timezone.now() - timedelta(seconds=settings.UPLOAD_URL_SECONDS, minutes=1)
    assert sweep_archives() == 0

    if end == "too old":
        Archive.objects.update(created_at=past - timedelta(hours=settings.UPLOAD_EXPIRES_HOURS))
    elif end == "cancelled":
        Batch.objects.update(state="cancelled", finished_at=past)
    else:
        Batch.objects.update(state="submitted", submitted_at=past, remaining=1)
    assert sweep_archives() == 1
    assert files(folder) == []
    assert not Archive.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["parts", "complete"])
def test_a_slow_storage_does_not_hold_the_batch(step: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic()
    batch = clinic.create(archive=True)
    url = f"/batches/{batch['id']}/archive"
    if step == "complete":
        for part in asked(clinic, url):
            put(clinic, part, piece(part))
    held: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        asked_for = getattr(multipart, name)

        def ask(*args: Any) -> Any:
            with ThreadPoolExecutor() as pool:
                held.append(f"{name} free" if pool.submit(is_free, batch["id"]).result() else f"{name} HELD")
            return asked_for(*args)

        return ask

    for name in ("begin", "arrived", "join", "abort"):
        monkeypatch.setattr(multipart, name, watched(name))
    if step == "complete":
        good(clinic.post(f"{url}/complete"), 202)
        assert held == ["arrived free", "join free", "abort free"]
    else:
        asked(clinic, url)
        asked(clinic, url, 1200)
        assert held == ["begin free", "begin free", "abort free"]


@pytest.mark.django_db(transaction=True)
def test_an_archive_that_is_completed_twice_at_once_is_joined_and_rung_for_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = Clinic()
    batch = clinic.create(archive=True)
    url = f"/batches/{batch['id']}/archive"
    for part in asked(clinic, url):
        put(clinic, part, piece(part))
    joined = []
    join = multipart.join

    def slowly(key: str, upload_id: str) -> None:
        joined.append(key)
        time.sleep(0.5)
        join(key, upload_id)

    monkeypatch.setattr(multipart, "join", slowly)
    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(lambda _: elsewhere(lambda: good(clinic.post(f"{url}/complete"), 202)), range(2)))
    assert [end["state"] for end in ends] == ["stored", "stored"]
    assert joined == [f"archives/{batch['id']}.zip"]
    assert storage.read(joined[0]) == DATA
    assert Event.objects.filter(action="archive.stored").count() == 1


@pytest.mark.django_db(transaction=True)
def test_parts_that_two_requests_begin_at_once_are_begun_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic()
    url = f"/images/{clinic.create(case())['images'][0]['id']}"
    both, begin = threading.Barrier(2), multipart.begin

    def together(key: str) -> str:
        both.wait(timeout=30)
        return begin(key)

    monkeypatch.setattr(multipart, "begin", together)
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: elsewhere(lambda: asked(clinic, url)), range(2))
    for part in (first[0], second[1], first[2]):
        assert put(clinic, part, piece(part)).status_code == 204
    assert good(clinic.post(f"{url}/complete"))["state"] == "stored"
    assert storage.read(Image.objects.get().upload_key) == DATA


def test_parts_replace_a_file_that_came_in_one_piece_and_was_not_completed(folder: Path) -> None:
    clinic = Clinic()
    image = clinic.create(case())["images"][0]
    assert put(clinic, image, b"the first half of a picture").status_code == 204
    url = f"/images/{image['id']}"
    parts = asked(clinic, url)
    assert problem(clinic.post(f"{url}/complete"), 409)["parts"] == [1, 2, 3]
    for part in parts:
        put(clinic, part, piece(part))
    good(clinic.post(f"{url}/complete"))
    assert storage.read(Image.objects.get().upload_key) == DATA
