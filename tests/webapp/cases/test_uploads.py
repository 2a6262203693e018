"""The signed upload URL of the site: what it takes, and what it refuses."""

import os
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.factories import ArchiveFactory, BatchFactory, CaseFactory, ImageFactory
from tests.webapp.api.clinic import problem
from webapp import storage
from webapp.audit.services import SYSTEM
from webapp.cases.intake import InspectionResult, claim_images, finish_intake
from webapp.cases.models import Batch, Image
from webapp.cases.originals import forget_originals
from webapp.cases.selectors import stage
from webapp.cases.services import cancel_batch, submit_batch
from webapp.cases.uploads import complete_upload, store_upload
from webapp.inference.selectors import progress

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_folder")]


def path_of(key: str, size: int | None = None) -> str:
    return "/uploads/" + storage.upload_target(key, size=size).url.rpartition("/")[2]


def put(client: Client, path: str, data: bytes) -> Any:
    return client.put(path, data, content_type="application/octet-stream")


def test_the_bytes_arrive_and_a_second_upload_replaces_them() -> None:
    image = ImageFactory()
    client = Client(enforce_csrf_checks=True)
    assert put(client, path_of(image.upload_key), b"first").status_code == 204
    assert put(client, path_of(image.upload_key), b"second one").status_code == 204
    assert storage.read(image.upload_key) == b"second one"


def test_a_photo_takes_one_query(client: Client, django_assert_num_queries: Any) -> None:
    path = path_of(ImageFactory().upload_key)

    with django_assert_num_queries(1):
        assert put(client, path, b"jpeg").status_code == 204


def test_what_cannot_be_stored_leaves_nothing_beside_it(storage_folder: Path) -> None:
    storage.write("images/1/whole", b"jpeg")

    with pytest.raises(storage.ObjectRefused, match="IsADirectoryError"):
        storage.write("images/1", b"jpeg")

    assert [file.name for file in storage_folder.rglob("*") if file.is_file()] == ["whole"]


def test_what_a_process_that_died_left_half_written_is_forgotten(storage_folder: Path) -> None:
    storage.write("images/1/whole", b"jpeg")
    old, new = storage_folder / "incoming" / "old", storage_folder / "incoming" / "new"
    for file in (old, new):
        file.write_bytes(b"jp")
    os.utime(old, (0, 0))

    assert [storage.forget_broken_off(), storage.forget_broken_off()] == [1, 0]
    assert (old.exists(), new.exists(), storage.size("images/1/whole")) == (False, True, 4)


def test_a_form_around_the_file_is_refused_before_it_is_taken_for_one(client: Client) -> None:
    image = ImageFactory()
    form = "multipart/form-data; boundary=x"
    refused = client.put(path_of(image.upload_key), b"--x\r\n\r\njpeg\r\n--x--", content_type=form)
    assert problem(refused, 415)["code"] == "form_not_taken"
    assert storage.size(image.upload_key) is None


def test_a_forged_url_is_refused(client: Client) -> None:
    image = ImageFactory()
    path = path_of(image.upload_key)
    assert (
        problem(put(client, path[:-1] + ("A" if path[-1] != "A" else "B"), b"x"), 403)["code"] == "upload_url_invalid"
    )
    assert problem(put(client, "/uploads/nonsense", b"x"), 403)["code"] == "upload_url_invalid"
    assert storage.size(image.upload_key) is None


def test_an_expired_url_is_refused(client: Client, settings: Settings) -> None:
    image = ImageFactory()
    path = path_of(image.upload_key)
    settings.UPLOAD_URL_SECONDS = -1
    assert problem(put(client, path, b"x"), 403)["code"] == "upload_url_expired"


def test_a_completed_image_is_not_replaced(client: Client) -> None:
    image = ImageFactory(stored=True)
    assert problem(put(client, path_of(image.upload_key), b"x"), 409)["code"] == "not_awaited"


def test_a_large_file_that_is_not_awaited_is_refused_before_it_has_come(client: Client, settings: Settings) -> None:
    image = ImageFactory(stored=True)
    unread: dict[str, Any] = {"wsgi.input": BytesIO(), "CONTENT_LENGTH": "50"}
    codes = []
    for large in (100, 10):
        settings.FILE_UPLOAD_MAX_MEMORY_SIZE = large
        codes.append(client.generic("PUT", path_of(image.upload_key), b"", **unread).json()["code"])
    assert codes == ["upload_incomplete", "not_awaited"]


def test_a_file_over_the_limit_is_refused(client: Client, settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 10
    image = ImageFactory()
    assert problem(put(client, path_of(image.upload_key), b"x" * 11), 413)["code"] == "too_large_bytes"
    assert put(client, path_of(image.upload_key), b"x" * 10).status_code == 204


def test_an_archive_has_a_limit_of_its_own(client: Client, settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES, settings.IMPORT_MAX_BYTES = 10, 20
    key = ArchiveFactory().key
    assert put(client, path_of(key), b"x" * 20).status_code == 204
    assert problem(put(client, path_of(key), b"x" * 21), 413)["code"] == "too_large_bytes"
    closed = ArchiveFactory(batch__submitted=True)
    assert closed.batch.state == Batch.State.SUBMITTED
    assert problem(put(client, path_of(closed.key), b"x"), 409)["code"] == "not_awaited"


def test_a_url_made_for_a_size_takes_that_size_only(client: Client) -> None:
    image = ImageFactory()
    assert problem(put(client, path_of(image.upload_key, size=3), b"four"), 403)["code"] == "wrong_size"
    assert put(client, path_of(image.upload_key, size=4), b"four").status_code == 204


def test_a_body_that_breaks_off_leaves_nothing(client: Client) -> None:
    image = ImageFactory()
    broken: dict[str, Any] = {"wsgi.input": BytesIO(b"short"), "CONTENT_LENGTH": "50"}
    response = client.generic("PUT", path_of(image.upload_key), b"", **broken)
    assert problem(response, 400)["code"] == "upload_incomplete"
    assert storage.size(image.upload_key) is None
    assert Image.objects.get(pk=image.pk).state == Image.State.AWAITING_UPLOAD


def test_the_size_must_be_said(client: Client) -> None:
    image = ImageFactory()
    silent: dict[str, Any] = {"wsgi.input": BytesIO(), "CONTENT_LENGTH": ""}
    response = client.generic("PUT", path_of(image.upload_key), b"x", **silent)
    assert problem(response, 411)["code"] == "length_required"


def test_only_put_is_taken(client: Client) -> None:
    response = client.get(path_of(ImageFactory().upload_key))
    assert problem(response, 405)["code"] == "method_not_allowed"
    assert response.headers["Allow"] == "PUT"


def test_a_huge_object_in_storage_is_completed_and_left_to_intake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A presigned URL of S3 takes up to 5 GB."""
    image = ImageFactory()
    monkeypatch.setattr(storage, "size", lambda key: 5 * 1024**3)

    assert complete_upload(image=image).state == Image.State.STORED
    assert Image.objects.get().size == 5 * 1024**3


def test_no_more_of_a_file_is_read_than_may_be_stored(settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 10
    image, file = ImageFactory(), BytesIO(b"x" * 1000)

    store_upload(image=image, file=file)

    assert (file.tell(), storage.size(image.upload_key)) == (11, 11)


def test_a_cancelled_batch_awaits_nothing() -> None:
    image = ImageFactory()

    cancel_batch(actor=SYSTEM, batch=image.batch)

    image.refresh_from_db()
    assert image.state == Image.State.EXPIRED


def test_of_a_cancelled_batch_what_waits_for_its_check_is_dropped_and_what_is_checked_now_is_finished() -> None:
    batch = BatchFactory()
    checked, waiting = (ImageFactory(case__batch=batch, stored=True) for _ in range(2))
    storage.write(waiting.upload_key, b"jpeg")
    token, [claimed] = claim_images(limit=1)
    assert claimed == checked

    cancelled = cancel_batch(actor=SYSTEM, batch=batch)

    assert claim_images(limit=5)[1] == []
    waiting.refresh_from_db()
    assert (waiting.state, waiting.reason) == (Image.State.EXPIRED, "cancelled")
    assert waiting.advice == "The batch was cancelled before this picture was checked. Put it in a new batch."
    assert finish_intake(token=token, inspected=[(claimed, InspectionResult(sha256="0" * 64, width=600, height=450))])
    assert progress(cancelled).cancelled == 2
    assert {stage(case) for case in cancelled.cases.all()} == {"cancelled"}
    Image.objects.update(ended_at=timezone.now() - timedelta(days=1))
    assert forget_originals() == 2
    assert storage.size(waiting.upload_key) is None


def test_thousands_of_missing_files_cost_no_query_each(django_assert_max_num_queries: Any) -> None:
    batch = BatchFactory()
    for _ in range(30):
        ImageFactory(case=CaseFactory(batch=batch))

    with django_assert_max_num_queries(25):
        assert submit_batch(actor=SYSTEM, batch=batch, allow_missing=True).failures == 30
