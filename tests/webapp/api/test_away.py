"""While Postgres, Redis or storage is away, everybody is asked to come back: it is no fault, and it passes."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client

from tests.factories import PASSWORD, MembershipFactory, PatientFactory, ResultFactory, UserFactory
from tests.webapp.api.clinic import Clinic, case, problem
from webapp import storage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_folder")]


def answering(error: Exception) -> Callable[..., None]:
    """What answers with an error whatever it is asked."""

    def answer(*_: Any, **__: Any) -> None:
        raise error

    return answer


@pytest.fixture
def clinic() -> Clinic:
    clinic = Clinic()
    clinic.http.raise_request_exception = False
    return clinic


def test_signing_in_waits_for_redis(settings: Any) -> None:
    person = MembershipFactory().user
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    client = Client(raise_request_exception=False)
    response = client.post("/account/login/", {"login": person.email, "password": PASSWORD})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "away for a moment" in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_program_is_told_when_to_ask_again(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.cases.services.create_batch", answering(OperationalError()))
    response = clinic.post("/batches", {"cases": [case()]})
    assert problem(response, 503)["code"] == "unavailable"
    assert int(response.headers["Retry-After"]) > 0


def test_storage_that_is_away_is_asked_again(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    image = clinic.create(case())["images"][0]
    url = image["upload"]["url"].partition("://")[2].partition("/")[2]
    with monkeypatch.context() as broken:
        for name in ("size", "write"):
            broken.setattr(storage, name, answering(storage.StorageAway("ConnectTimeoutError")))
        sent = clinic.http.put(f"/{url}", b"jpeg", "application/octet-stream")
        for response in (sent, clinic.post(f"/images/{image['id']}/complete")):
            assert problem(response, 503)["code"] == "unavailable"
            assert int(response.headers["Retry-After"]) > 0
    clinic.upload(image, b"jpeg")


@pytest.mark.parametrize("kind", ["clean", "heatmap"])
def test_a_picture_is_asked_for_again(clinic: Clinic, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    result = ResultFactory(job__image__organisation=clinic.organisation)
    monkeypatch.setattr(FileSystemStorage, "open", answering(ConnectTimeoutError(endpoint_url="http://s3")))
    response = clinic.get(f"/images/{result.image_id}/{kind}")
    assert problem(response, 503)["code"] == "unavailable"
    assert int(response.headers["Retry-After"]) > 0


def test_an_object_that_storage_refuses_is_a_fault(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    image = clinic.create(case())["images"][0]
    monkeypatch.setattr(storage, "size", answering(storage.ObjectRefused("ClientError")))
    response = clinic.post(f"/images/{image['id']}/complete")
    assert problem(response, 500)["code"] == "server_error"
    assert "Retry-After" not in response.headers


def test_a_patient_who_sends_a_photo_meanwhile_is_asked_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    patient = PatientFactory(user=UserFactory())
    client = Client(raise_request_exception=False)
    client.force_login(patient.user)
    monkeypatch.setattr(storage, "write", answering(storage.StorageAway("ConnectTimeoutError")))
    photo = SimpleUploadedFile("1.jpg", b"jpeg", "image/jpeg")
    response = client.post("/my/photo/", {"key": str(uuid.uuid4()), "clinic": str(patient.pk), "photos": [photo]})
    assert response.status_code == 503
    assert "away for a moment" in response.content.decode()
