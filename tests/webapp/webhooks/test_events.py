"""What is told, when, to whom: written with the change that it tells of, once, and without a finding or a name."""

import json
import re
import uuid
from typing import Any

import pytest
from django.db import transaction

from ml.advice import Advice
from ml.classes import CLASSES, DISPLAY_NAMES
from tests.factories import (
    BatchFactory,
    CaseResultFactory,
    EndpointFactory,
    ImageFactory,
    PatientFactory,
)
from webapp.audit.services import SYSTEM
from webapp.cases.archives import finish
from webapp.cases.models import Archive, Batch
from webapp.cases.review import release_case
from webapp.cases.services import cancel_batch, submit_batch
from webapp.inference.completion import end_images
from webapp.webhooks.models import Delivery, Endpoint, EventType

pytestmark = pytest.mark.django_db


def told(endpoint: Endpoint) -> list[tuple[str, dict[str, Any]]]:
    """The events written for an endpoint: type and data."""
    rows = [(row.type, json.loads(row.body)) for row in endpoint.deliveries.order_by("created_at")]
    assert all(body["type"] == kind and re.fullmatch(r"2\S+T\S+Z", body["timestamp"]) for kind, body in rows)
    return [(kind, body["data"]) for kind, body in rows]


def test_a_batch_is_told_with_counts_each_time_it_completes() -> None:
    endpoint = EndpointFactory()
    image = ImageFactory(case__batch__organisation=endpoint.organisation)
    batch = submit_batch(actor=SYSTEM, batch=image.batch, allow_missing=True)
    counts = {"total": 1, "done": 0, "failed": 1}
    first = {"batch_id": str(batch.pk), "state": "completed_with_failures", "images": counts}
    assert told(endpoint) == [("batch.completed", first)]
    Batch.objects.update(state="submitted", remaining=1, failures=0, finished_at=None)  # an image is taken up again
    with transaction.atomic():
        end_images(batch=Batch.objects.select_for_update().get(), ended=[image])
    second = {**first, "state": "completed", "images": {"total": 1, "done": 1, "failed": 0}}
    assert told(endpoint) == [("batch.completed", first), ("batch.completed", second)]


def test_a_cancelled_batch_is_told_once() -> None:
    endpoint = EndpointFactory()
    batch = BatchFactory(organisation=endpoint.organisation)
    for _ in range(2):
        cancel_batch(actor=SYSTEM, batch=batch)
    assert told(endpoint) == [("batch.cancelled", {"batch_id": str(batch.pk)})]


@pytest.mark.parametrize("reason", ["", "not_a_zip"])
def test_an_archive_is_told_with_counts(reason: str) -> None:
    endpoint = EndpointFactory()
    image = ImageFactory(case__batch__organisation=endpoint.organisation)
    archive = Archive.objects.create(batch=image.batch, state="stored", lease_token=uuid.uuid4())
    report = [{"name": "Doe.jpg", "code": "not_an_image", "message": "This file is no picture."}]
    assert not finish(archive=archive, token=uuid.uuid4(), report=report, reason=reason)
    assert told(endpoint) == []
    assert archive.lease_token is not None
    assert finish(archive=archive, token=archive.lease_token, report=report, reason=reason)
    data = {"batch_id": str(image.batch_id), "cases": 1, "images": 1, "problems": 1}
    expected = ("archive.refused", {**data, "reason": reason}) if reason else ("archive.expanded", data)
    assert told(endpoint) == [expected]


def test_a_release_is_told_without_what_it_says() -> None:
    endpoint = EndpointFactory()
    patient = PatientFactory(organisation=endpoint.organisation, external_id="Doe-John-7")
    result = CaseResultFactory(
        case__patient=patient, case__batch__organisation=endpoint.organisation, case__batch__name="Smith family",
        case__external_id="LEFT-ARM-MOLE",
    )  # fmt: skip
    release_case(actor=SYSTEM, case=result.case, note="Please come in.")
    release_case(actor=SYSTEM, case=result.case)
    ids = {"case_id": str(result.case.pk), "batch_id": str(result.case.batch_id)}
    assert told(endpoint) == [("case.released", ids)]
    words = re.sub(r"[0-9a-f-]{36}", "", endpoint.deliveries.get().body)
    for finding in [*CLASSES, *DISPLAY_NAMES.values(), *Advice, "Doe", "ARM", "Smith", "come in", "0.74", "malignan"]:
        assert not re.search(rf"\b{finding}\b", words, re.IGNORECASE), finding


def test_only_who_asked_is_told() -> None:
    ours = EndpointFactory(event_types=[EventType.BATCH_CANCELLED])
    organisation = ours.organisation
    wants_other = EndpointFactory(organisation=organisation, event_types=[EventType.CASE_RELEASED])
    disabled = EndpointFactory(organisation=organisation, state=Endpoint.State.DISABLED)
    neighbour = EndpointFactory()
    twin = EndpointFactory(organisation=organisation)
    cancel_batch(actor=SYSTEM, batch=BatchFactory(organisation=organisation))
    assert [len(told(endpoint)) for endpoint in (ours, twin, wants_other, disabled, neighbour)] == [1, 1, 0, 0, 0]


def test_nothing_is_told_of_what_was_undone() -> None:
    endpoint = EndpointFactory()
    image = ImageFactory(case__batch__organisation=endpoint.organisation)

    with transaction.atomic():
        submit_batch(actor=SYSTEM, batch=image.batch, allow_missing=True)
        assert Delivery.objects.filter(type="batch.completed").exists()
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()
