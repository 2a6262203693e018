"""Another clinic's key finds nothing at any address that names a row."""

import pytest

from tests.factories import (
    CaseResultFactory,
    DeliveryFactory,
    EndpointFactory,
    ImageFactory,
    JobFactory,
    ResultFactory,
)
from tests.webapp.api.clinic import API, Clinic, good, problem
from tests.webapp.reports.scenes import jpeg
from webapp import storage
from webapp.api.urls import router
from webapp.cases.models import Batch, Image

pytestmark = pytest.mark.django_db


def test_a_stranger_finds_nothing() -> None:
    result = ResultFactory()
    case, image, batch = result.case, result.image, result.case.batch
    CaseResultFactory(case=case, release=result.release)
    storage.write(image.clean_key, jpeg())
    delivery = DeliveryFactory(endpoint__organisation=batch.organisation)
    ids = {"batches": batch.pk, "images": image.pk, "cases": case.pk, "webhooks": delivery.endpoint_id}
    owner, stranger = Clinic(batch.organisation), Clinic()

    walked = 0
    for pattern in router.urls:
        address = str(pattern.pattern)
        if "<uuid:pk>" not in address:
            continue
        path = "/" + address.replace("<uuid:pk>", str(ids[address.partition("/")[0]]))
        path = path.replace("<uuid:delivery_id>", str(delivery.pk))
        for method in set(pattern.callback.actions) - {"head"}:  # type: ignore[union-attr]
            asked = stranger.http.generic(method.upper(), API + path, "{}", "application/json")
            assert problem(asked, 404)["code"] == "not_found", path
            if method == "get":
                assert owner.get(path).status_code == 200, path
            walked += 1
    assert walked >= 29


def test_nobody_completes_anothers_upload() -> None:
    image = ImageFactory()
    storage.write(image.upload_key, b"jpeg")
    clinic = Clinic()
    own = ImageFactory(case__batch__organisation=clinic.organisation)
    storage.write(own.upload_key, b"jpeg")
    ids = [str(own.pk), str(image.pk)]
    refused = problem(clinic.post(f"/batches/{own.batch_id}/complete", {"images": ids}), 422)
    assert (refused["code"], refused["image_ids"]) == ("images_unknown", ids[1:])
    assert problem(clinic.post(f"/batches/{image.batch_id}/complete", {"images": ids[1:]}), 404)
    assert set(Image.objects.values_list("state", flat=True)) == {"awaiting_upload"}


def test_lists_hold_only_ones_own() -> None:
    job = JobFactory()
    CaseResultFactory(case=job.image.case)
    owner, stranger = Clinic(job.organisation), Clinic()
    assert len(good(owner.get("/batches"))["results"]) == len(good(owner.get("/cases"))["results"]) == 1
    for query in ({}, {"batch": str(job.batch_id)}, {"case_id": job.image.case.external_id}):
        assert good(stranger.get("/cases", **query))["results"] == []
    assert good(stranger.get("/batches"))["results"] == []
    EndpointFactory(organisation=owner.organisation)
    assert len(good(owner.get("/webhooks"))["results"]) == 1
    assert good(stranger.get("/webhooks"))["results"] == []
    assert Batch.objects.count() == 1
