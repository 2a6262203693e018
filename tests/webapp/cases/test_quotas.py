"""An organisation that has a quota is told when it is spent, by the API and on the page, and patients never are."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import JobFactory, MembershipFactory, OrganisationFactory, PatientFactory, UserFactory
from tests.webapp.api.clinic import Clinic, good, problem
from tests.webapp.cases.limits import limited, manifest
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.models import Batch, Case, Image
from webapp.cases.quotas import usage
from webapp.cases.services import cancel_batch
from webapp.patients.photos import send_photos

pytestmark = pytest.mark.django_db


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


def test_what_was_announced_and_not_uploaded_is_told_apart() -> None:
    clinic = Clinic()
    limited(clinic, images_queued=2)
    good(clinic.post("/batches", manifest("A", "B")), 201)
    Image.objects.filter(case__external_id="A").update(state="stored", stored_at=timezone.now())
    detail = problem(clinic.post("/batches", manifest("C")), 429)["detail"]
    assert "2 images in the queue at once and has 2. Of these 1 is not uploaded: upload it, or cancel its" in detail


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


def test_people_who_are_signed_in_share_the_requests_of_their_organisation(client: Browser) -> None:
    clinic = Clinic()
    limited(clinic, requests_a_minute=2)
    client.force_login(MembershipFactory(organisation=clinic.organisation).user)
    for asking in (clinic.http, client):
        good(asking.get("/api/v1/batches"))
    for asking in (clinic.http, client):
        assert problem(asking.get("/api/v1/batches"), 429)["code"] == "throttled"
    client.force_login(MembershipFactory().user)
    good(client.get("/api/v1/batches"))
