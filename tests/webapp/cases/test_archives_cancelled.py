"""A batch that is cancelled while its ZIP waits, or is being unpacked, is not filled any further."""

from unittest import mock

import pytest
from urllib3.util import parse_url

from tests.ml.imaging.samples import zipped
from tests.webapp.api.clinic import Clinic, case, good
from tests.webapp.cases.zips import expand_next, images, photo, sent
from webapp import storage
from webapp.cases import unpacking
from webapp.cases.models import Archive, Batch, Image

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_cancelled_batch_is_not_unpacked_into() -> None:
    clinic = Clinic()
    batch = sent(clinic, zipped({"1.jpg": photo()}))
    good(clinic.post(f"/batches/{batch.pk}/cancel"))
    archive = expand_next()
    assert (archive.state, archive.reason) == (Archive.State.REFUSED, "batch_not_open")
    assert not Image.objects.exists()


@pytest.mark.parametrize("read_before", [0, 1])
def test_of_a_batch_that_is_cancelled_no_more_of_its_archive_is_read(
    monkeypatch: pytest.MonkeyPatch, read_before: int
) -> None:
    monkeypatch.setattr(unpacking, "CHUNK_ENTRIES", 1)
    clinic, names = Clinic(), [f"{n}.jpg" for n in range(4)]
    batch = good(clinic.post("/batches", {"archive": True, "cases": [case("c1", *names)]}), 201)
    path = parse_url(batch["archive_upload"]["url"]).request_uri
    assert clinic.http.put(path, zipped({name: photo(n) for n, name in enumerate(names)})).status_code == 204
    good(clinic.post(f"/batches/{batch['id']}/archive/complete"), 202)
    write, written = storage.write, []

    def cancelled_meanwhile(key: str, data: bytes) -> None:
        write(key, data)
        written.append(key)
        good(clinic.post(f"/batches/{batch['id']}/cancel"))

    monkeypatch.setattr(storage, "write", cancelled_meanwhile)
    if not read_before:
        good(clinic.post(f"/batches/{batch['id']}/cancel"))
        monkeypatch.setattr(storage, "pieces", mock.Mock(side_effect=AssertionError("it is read")))
    archive = expand_next()
    assert (archive.state, archive.reason) == (Archive.State.REFUSED, "batch_not_open")
    assert len(written) == read_before
    assert {state for _, _, state in images(Batch.objects.get())} == {"expired"}
