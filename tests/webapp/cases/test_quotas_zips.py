"""A ZIP of an organisation that has a quota: kept while waiting helps, and refused where it does not."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from tests.factories import MembershipFactory
from tests.ml.imaging.samples import zipped
from tests.webapp.api.clinic import Clinic, good, problem
from tests.webapp.cases.limits import limited, manifest
from tests.webapp.cases.zips import expand_next, sent
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases import unpacking
from webapp.cases.archives import claim_archive, sweep_archives
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import Archive, Batch, Case, Image
from webapp.cases.services import add_cases, cancel_batch
from webapp.cases.unpacking import expand

pytestmark = pytest.mark.django_db(transaction=True)


def kept(clinic: Clinic) -> Batch:
    """A batch whose archive was read, and waits for room in the queue."""
    limited(clinic, images_queued=2)
    good(clinic.post("/batches", manifest("A")), 201)
    batch = sent(clinic, zipped({"1.jpg": b"photo", "2.jpg": b"another"}))
    leased = claim_archive()
    assert leased is not None
    assert not expand(*leased)
    return batch


def test_what_the_queue_never_holds_waits_for_no_day() -> None:
    clinic = Clinic()
    limited(clinic, images_a_day=2, images_queued=1)
    first = good(clinic.post("/batches", manifest("A")), 201)
    cancel_batch(actor=SYSTEM, batch=Batch.objects.get(pk=first["id"]))

    never = clinic.post("/batches", manifest("B", "C"))
    assert problem(never, 429)["code"] == "queue_quota"
    assert never.headers["Retry-After"] == "86400"
    sent(clinic, zipped({"1.jpg": b"photo", "2.jpg": b"another"}))
    archive = expand_next()
    assert (archive.state, archive.reason) == ("refused", "queue_quota")
    assert "Send at most 1 at a time; waiting does not help." in archive.report[0]["message"]


@pytest.mark.parametrize("table", [False, True])
def test_an_archive_beyond_the_quota_leaves_nothing(table: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "CHUNK_ENTRIES", 2)
    clinic = Clinic()
    limited(clinic, images_a_day=4)
    files = {f"{n}.jpg": b"photo" for n in range(5)}
    rows = {"cases.csv": "\n".join(["images", *files]).encode()} if table else {}
    batch = sent(clinic, zipped({**rows, **files}))
    archive = expand_next()
    assert (archive.state, archive.reason) == ("refused", "daily_quota")
    assert "may send 4 images in 24 hours and has sent 0" in archive.report[0]["message"]
    assert "has sent 0. Send at most 4 at a time" in archive.report[0]["message"]  # no day holds these
    assert (batch.cases.count(), batch.images.count()) == (0, 0)
    good(clinic.post(f"/batches/{batch.pk}/cases", manifest("A", "B", "C", "D")), 201)


def test_an_archive_waits_for_room_and_is_no_attempt_poorer() -> None:
    clinic = Clinic()
    limited(clinic, images_queued=2)
    first = good(clinic.post("/batches", manifest("A")), 201)
    batch = sent(clinic, zipped({"1.jpg": b"photo", "2.jpg": b"another"}))

    leased = claim_archive()
    assert leased is not None
    assert not expand(*leased)

    told = good(clinic.get(f"/batches/{batch.pk}"))["archive"]
    assert (told["state"], told["report"][0]["code"]) == ("stored", "queue_quota")
    assert told["report"][0]["message"].endswith(
        "You need do nothing: the ZIP is kept, and unpacked once there is room."
    )
    assert (claim_archive(), Archive.objects.get().attempt) == (None, 0)
    submitted = problem(clinic.post(f"/batches/{batch.pk}/submit"), 409)["detail"]
    assert "2 images in the queue at once and has 1." in submitted
    assert submitted.endswith("Submit again after that, or cancel the batch.")

    good(clinic.post(f"/batches/{first['id']}/cancel"))
    Archive.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep_archives() == 1
    archive = expand_next()
    assert (archive.state, archive.report) == ("expanded", [])
    assert batch.images.filter(state="stored").count() == 2


@pytest.mark.parametrize(
    ("limits", "sent_ago", "seconds"),
    [
        ({"images_queued": 2}, timedelta(), 300),
        ({"images_a_day": 2}, timedelta(hours=4), 3600),
        ({"images_a_day": 2}, timedelta(hours=23, minutes=30), 1800),
    ],
    ids=["queue", "hours", "minutes"],
)
def test_an_archive_that_waits_is_read_again_when_there_may_be_room(
    limits: dict[str, int], sent_ago: timedelta, seconds: int
) -> None:
    clinic = Clinic()
    limited(clinic, **limits)
    good(clinic.post("/batches", manifest("A")), 201)
    Case.objects.update(created_at=timezone.now() - sent_ago)
    Image.objects.update(created_at=timezone.now() - sent_ago)
    sent(clinic, zipped({"1.jpg": b"photo", "2.jpg": b"another"}))
    leased = claim_archive()
    assert leased is not None
    assert not expand(*leased)
    until = Archive.objects.get().lease_until
    assert until is not None
    assert (until - timezone.now()).total_seconds() == pytest.approx(seconds, abs=60)


def test_an_archive_waits_for_room_no_longer_than_an_upload_is_waited_for(settings: Any) -> None:
    clinic = Clinic()
    limited(clinic, images_a_day=2)
    good(clinic.post("/batches", manifest("A")), 201)
    sent(clinic, zipped({"1.jpg": b"photo", "2.jpg": b"another"}))
    Archive.objects.update(stored_at=timezone.now() - timedelta(hours=settings.UPLOAD_EXPIRES_HOURS, seconds=1))
    archive = expand_next()
    assert (archive.state, archive.reason) == ("refused", "daily_quota")
    assert "Send fewer now" in archive.report[0]["message"]


def test_an_archive_that_waits_for_room_ends_with_its_batch() -> None:
    clinic = Clinic()
    batch = kept(clinic)
    good(clinic.post(f"/batches/{batch.pk}/cases", manifest("B")), 201)
    address = f"/api/v1/cases/{batch.cases.get().pk}"
    assert "or cancel the batch, if the ZIP is kept until" in problem(clinic.http.delete(address), 409)["detail"]

    good(clinic.post(f"/batches/{batch.pk}/cancel"))
    assert sweep_archives() == 1
    archive = expand_next()
    assert (archive.state, archive.reason) == ("refused", "batch_not_open")
    assert clinic.http.delete(address).status_code == 204


def test_the_page_of_an_archive_that_waits_for_room_promises_no_moment(client: Browser) -> None:
    provider = MembershipFactory()
    batch = kept(Clinic(provider.organisation))
    client.force_login(provider.user)
    page = client.get(f"/batches/{batch.pk}/").content.decode()
    assert "unpacked once there is room" in page
    assert "in a moment" not in page
    assert "is being unpacked" not in page


def test_an_archive_that_was_begun_within_the_quota_is_gone_on_with() -> None:
    clinic = Clinic()
    organisation = limited(clinic, images_a_day=2)
    sent(clinic, zipped({"1.jpg": b"photo", "2.jpg": b"another"}))
    batch = Batch.objects.get()
    add_cases(batch=batch, cases=[CaseSpec(external_id=n, patient_id=n, filenames=[f"{n}.jpg"]) for n in "12"])
    Organisation.objects.filter(pk=organisation.pk).update(images_a_day=1)
    assert expand_next().state == "expanded"
    assert batch.images.filter(state="stored").count() == 2
