"""An organisation that has a quota is told when it is spent, by the API and on the page, and patients never are."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import JobFactory, MembershipFactory, OrganisationFactory, PatientFactory, UserFactory
from tests.ml.imaging.samples import zipped
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.cases.zips import expand_next, sent
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM, Actor
from webapp.cases import unpacking
from webapp.cases.archives import claim_archive, sweep_archives
from webapp.cases.models import Archive, Batch, Case, Image
from webapp.cases.quotas import usage
from webapp.cases.services import add_cases, cancel_batch
from webapp.cases.spec import CaseSpec
from webapp.cases.unpacking import expand
from webapp.patients.photos import send_photos

pytestmark = pytest.mark.django_db


def limited(clinic: Clinic, **limits: int) -> Organisation:
    Organisation.objects.filter(pk=clinic.organisation.pk).update(**limits)
    return Organisation.objects.get(pk=clinic.organisation.pk)


def manifest(*names: str) -> dict[str, object]:
    return {"cases": [case(name) for name in names]}


def test_beyond_the_days_images_the_answer_says_when_to_come_back() -> None:
    clinic = Clinic()
    limited(clinic, images_a_day=3)
    good(clinic.post("/batches", manifest("A", "B")), 201)
    Case.objects.update(created_at=timezone.now() - timedelta(hours=20))
    Image.objects.update(created_at=timezone.now() - timedelta(hours=20))

    response = clinic.post("/batches", manifest("C", "D"))

    answer = problem(response, 429)
    assert answer["code"] == "daily_quota"
    assert "3 images in 24 hours and has sent 2. Send fewer now, or these in 4 hours." in answer["detail"]
    assert 4 * 3600 - 60 < int(response.headers["Retry-After"]) <= 4 * 3600
    assert Batch.objects.count() == 1
    good(clinic.post("/batches", manifest("C")), 201)
    Case.objects.update(created_at=timezone.now() - timedelta(hours=25))
    good(clinic.post("/batches", manifest("E", "F", "G")), 201)


def test_a_batch_that_no_day_holds_is_refused_for_a_day() -> None:
    clinic = Clinic()
    limited(clinic, images_a_day=1)
    response = clinic.post("/batches", manifest("A", "B"))
    assert problem(response, 429)["code"] == "daily_quota"
    assert response.headers["Retry-After"] == "86400"


def test_what_waits_counts_until_it_is_answered_or_cancelled() -> None:
    clinic = Clinic()
    organisation = limited(clinic, images_queued=3)
    first = good(clinic.post("/batches", manifest("A", "B")), 201)
    JobFactory(image__case__batch__organisation=organisation, image__ready=True)

    response = clinic.post("/batches", manifest("C"))
    assert problem(response, 429)["code"] == "queue_quota"
    assert int(response.headers["Retry-After"]) > 0

    cancel_batch(actor=SYSTEM, batch=Batch.objects.get(pk=first["id"]))
    good(clinic.post("/batches", manifest("C")), 201)


def test_waiting_is_only_advised_where_it_helps() -> None:
    clinic = Clinic()
    limited(clinic, images_queued=2)
    never = clinic.post("/batches", manifest("A", "B", "C"))
    detail = problem(never, 429)["detail"]
    assert "at once and has 0. Send at most 2 at a time; waiting does not help." in detail
    assert never.headers["Retry-After"] == "86400"  # a client that waits for a minute would ask for ever
    good(clinic.post("/batches", manifest("A", "B")), 201)
    later = clinic.post("/batches", manifest("C", "D"))
    assert "Send fewer at once, or wait until some are answered." in problem(later, 429)["detail"]
    assert later.headers["Retry-After"] == "60"


@pytest.mark.django_db(transaction=True)
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


def test_a_patients_photo_is_taken_whatever_the_clinic_has_sent() -> None:
    organisation = OrganisationFactory(images_a_day=0, images_queued=0)
    patient = PatientFactory(organisation=organisation, user=UserFactory())
    send_photos(actor=Actor(user=patient.user), patient=patient, key="1", photos=[BytesIO(b"photo")])
    used = usage(organisation)
    assert used is not None
    assert (used.sent, used.queued) == (0, 0)


def test_without_a_quota_nothing_is_counted() -> None:
    assert usage(OrganisationFactory()) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("limits", "made"), [({}, 8), ({"images_a_day": 5}, 5)])
def test_batches_that_come_at_once_are_counted_together_only_where_there_is_a_quota(
    limits: dict[str, int], made: int
) -> None:
    clinic = Clinic()
    organisation = limited(clinic, **limits)
    waited = []

    def announce(number: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            answer = clinic.post("/batches", manifest(f"C-{number}"))
        waited.append(any("accounts_organisation" in q["sql"] and "FOR NO KEY" in q["sql"] for q in queries))
        connection.close()
        return int(answer.status_code)

    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(announce, range(8)))

    assert codes.count(201) == made
    assert set(codes) <= {201, 429}
    assert any(waited) == bool(limits)
    assert Image.objects.filter(organisation=organisation).count() == made


def test_the_page_says_what_is_used_and_why_nothing_was_stored(client: Browser) -> None:
    provider = MembershipFactory(organisation__images_a_day=1500, organisation__images_queued=0).user
    client.force_login(provider)

    page = client.get("/batches/new/").content.decode()
    assert "0 of 1,500 images in the last 24 hours and has 0 of 0 in the queue" in page

    form = {"key": str(uuid4()), "name": "", "capture": "dermoscopic", "grouping": "each", "names": '["a.jpg"]'}
    answer = client.post("/batches/new/", form, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "86400")
    assert any("0 images in the queue at once and has 0. Please ask" in error for error in answer.json()["errors"])

    files = {**form, "files": SimpleUploadedFile("a.jpg", b"photo")}
    answer = client.post("/batches/new/", files)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "86400")
    assert "administrator for more." in answer.content.decode()
    assert not Batch.objects.exists()


@pytest.mark.django_db(transaction=True)
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


@pytest.mark.django_db(transaction=True)
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
    assert told["report"][0]["message"].endswith("The ZIP is kept, and unpacked once there is room.")
    assert (claim_archive(), Archive.objects.get().attempt) == (None, 0)

    good(clinic.post(f"/batches/{first['id']}/cancel"))
    Archive.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep_archives() == 1
    archive = expand_next()
    assert (archive.state, archive.report) == ("expanded", [])
    assert batch.images.filter(state="stored").count() == 2


@pytest.mark.django_db(transaction=True)
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


@pytest.mark.django_db(transaction=True)
def test_an_archive_waits_for_room_no_longer_than_an_upload_is_waited_for(settings: Any) -> None:
    clinic = Clinic()
    limited(clinic, images_a_day=2)
    good(clinic.post("/batches", manifest("A")), 201)
    sent(clinic, zipped({"1.jpg": b"photo", "2.jpg": b"another"}))
    Archive.objects.update(stored_at=timezone.now() - timedelta(hours=settings.UPLOAD_EXPIRES_HOURS, seconds=1))
    archive = expand_next()
    assert (archive.state, archive.reason) == ("refused", "daily_quota")
    assert "Send fewer now" in archive.report[0]["message"]


@pytest.mark.django_db(transaction=True)
def test_an_archive_that_was_begun_within_the_quota_is_gone_on_with() -> None:
    clinic = Clinic()
    organisation = limited(clinic, images_a_day=2)
    sent(clinic, zipped({"1.jpg": b"photo", "2.jpg": b"another"}))
    batch = Batch.objects.get()
    add_cases(batch=batch, cases=[CaseSpec(external_id=n, patient_id=n, filenames=[f"{n}.jpg"]) for n in "12"])
    Organisation.objects.filter(pk=organisation.pk).update(images_a_day=1)
    assert expand_next().state == "expanded"
    assert batch.images.filter(state="stored").count() == 2


def test_what_was_announced_and_not_uploaded_is_told_apart() -> None:
    clinic = Clinic()
    limited(clinic, images_queued=2)
    good(clinic.post("/batches", manifest("A", "B")), 201)
    Image.objects.filter(case__external_id="A").update(state="stored", stored_at=timezone.now())
    detail = problem(clinic.post("/batches", manifest("C")), 429)["detail"]
    assert "2 images in the queue at once and has 2. Of these 1 are not uploaded: upload them, or cancel" in detail


def test_all_clients_of_an_organisation_share_its_requests() -> None:
    clinic, other = Clinic(), Clinic()
    limited(clinic, requests_a_minute=2)
    for _ in range(2):
        good(clinic.get("/batches"))
    response = clinic.get("/batches")
    assert problem(response, 429)["code"] == "throttled"
    assert 0 < int(response.headers["Retry-After"]) <= 60
    good(other.get("/batches"))
    cache.delete(f"throttle:organisation:{clinic.organisation.pk}")
    good(clinic.get("/batches"))
