"""Webhooks by API: everything that the pages do."""

from typing import Any

import pytest
from django.utils import timezone

from tests.factories import DeliveryFactory, EndpointFactory
from tests.webapp.api.clinic import API, Clinic, good, problem
from tests.webapp.webhooks.receiver import Receiver, Reply
from webapp.webhooks.api import WebhookViewSet
from webapp.webhooks.models import Delivery, Endpoint
from workers.webhooks import send_webhooks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


def change(clinic: Clinic, path: str, body: dict[str, Any]) -> Any:
    return clinic.http.patch(API + path, body, "application/json")


def test_from_adding_a_webhook_to_what_became_of_its_event(clinic: Clinic, receiver: Receiver) -> None:
    wanted = {"url": receiver.url, "event_types": ["batch.cancelled", "batch.cancelled"], "description": "Records"}
    made = good(clinic.post("/webhooks", wanted), 201)
    path = f"/webhooks/{made['id']}"
    shown = good(clinic.get(path))
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (shown["state"], shown["event_types"], shown["failing_since"]) == ("enabled", ["batch.cancelled"], None)
    assert good(clinic.get("/webhooks"))["results"] == [shown]

    test = good(clinic.post(f"{path}/test"))
    assert (test["state"], test["type"], test["attempts"][0]["status"]) == ("delivered", "webhook.test", 200)
    assert receiver.received[0].verified(made["secret"]) == test["event"]

    receiver.reply = Reply(500)
    batch = clinic.create({"case_id": "a", "patient_id": "p", "images": ["a.jpg"]})
    good(clinic.post(f"/batches/{batch['id']}/cancel"))
    send_webhooks()
    assert receiver.received[1].verified(made["secret"])["data"] == {"batch_id": batch["id"]}
    [waiting] = good(clinic.get(f"{path}/deliveries", state="pending"))["results"]
    assert waiting["attempts"][0]["error"] == "It answered 500. Look into the log of your software or its proxy."
    assert waiting["event"]["type"] == "batch.cancelled"
    assert waiting["next_attempt_at"] is not None
    assert len(good(clinic.get(f"{path}/deliveries"))["results"]) == 2

    good(change(clinic, path, {"enabled": False}))
    [failed] = good(clinic.get(f"{path}/deliveries", state="failed"))["results"]
    replay = f"{path}/deliveries/{failed['id']}/replay"
    assert problem(clinic.post(replay), 409)["code"] == "webhook_disabled"
    assert good(change(clinic, path, {"enabled": True}))["state"] == "enabled"
    receiver.reply = Reply(200)
    assert good(clinic.post(replay), 202)["state"] == "pending"
    assert problem(clinic.post(replay), 409)["code"] == "not_ended"
    send_webhooks()
    assert receiver.received[2].id == receiver.received[1].id
    [last] = good(clinic.get(f"{path}/deliveries", type="batch.cancelled"))["results"]
    assert [attempt["status"] for attempt in last["attempts"]] == [500, 200]


def test_a_repeated_request_sends_no_event_twice(clinic: Clinic) -> None:
    wanted = {"url": "https://clinic.example/hook", "event_types": ["case.released"]}
    made = good(clinic.post("/webhooks", wanted), 201)

    again = problem(clinic.post("/webhooks", wanted), 409)

    assert (again["code"], again["webhook_id"]) == ("webhook_exists", made["id"])
    assert good(clinic.post(f"/webhooks/{again['webhook_id']}/rotate"))["secret"] != made["secret"]
    good(Clinic().post("/webhooks", wanted), 201)  # another clinic's own
    first = f"/webhooks/{made['id']}"
    good(change(clinic, first, {"enabled": False}))
    second = good(clinic.post("/webhooks", wanted), 201)
    for body in ({"enabled": True}, {"enabled": True, "description": "Back"}):
        told = problem(change(clinic, first, body), 409)
        assert (told["code"], told["webhook_id"]) == ("webhook_exists", second["id"])
    assert good(clinic.get(first))["description"] == ""  # all of a change or nothing
    elsewhere = {"enabled": True, "url": "https://clinic.example/other"}
    assert good(change(clinic, first, elsewhere))["state"] == "enabled"
    assert problem(change(clinic, first, {"url": wanted["url"]}), 409)["code"] == "webhook_exists"
    good(change(clinic, first, {"url": wanted["url"], "enabled": False}))
    good(change(clinic, f"/webhooks/{second['id']}", {"url": wanted["url"], "enabled": True}))  # its own, as it is


def test_a_webhook_is_changed_in_part_rotated_and_removed(clinic: Clinic) -> None:
    endpoint = EndpointFactory(organisation=clinic.organisation)
    path = f"/webhooks/{endpoint.pk}"
    changed = good(change(clinic, path, {"description": "Elsewhere"}))
    assert (changed["description"], changed["url"]) == ("Elsewhere", endpoint.url)
    first, second = (good(clinic.post(f"{path}/rotate"))["secret"] for _ in range(2))
    assert first != second
    assert clinic.http.delete(API + path).status_code == 204
    assert problem(clinic.get(path), 404)["code"] == "not_found"


def test_a_change_of_one_thing_leaves_what_another_changes_meanwhile(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = EndpointFactory(organisation=clinic.organisation)
    read = WebhookViewSet.get_object

    def overtaken(view: WebhookViewSet) -> Endpoint:
        found = read(view)
        Endpoint.objects.update(url="https://new.example/", event_types=["case.released"])
        return found

    monkeypatch.setattr(WebhookViewSet, "get_object", overtaken)
    changed = good(change(clinic, f"/webhooks/{endpoint.pk}", {"description": ""}))
    assert (changed["url"], changed["event_types"]) == ("https://new.example/", ["case.released"])


def test_what_failed_since_a_time_is_replayed(clinic: Clinic) -> None:
    endpoint = EndpointFactory(organisation=clinic.organisation)
    DeliveryFactory.create_batch(2, endpoint=endpoint, state=Delivery.State.FAILED, ended_at=timezone.now())
    path = f"/webhooks/{endpoint.pk}/replay-failed"
    assert problem(clinic.post(path), 400)["code"] == "invalid"
    assert good(clinic.post(path, {"since": "2100-01-01T00:00:00Z"}), 202) == {"replayed": 0}
    assert good(clinic.post(path, {"since": "2020-01-01T00:00:00Z"}), 202) == {"replayed": 2}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid"),
        ({"url": "https://clinic.example", "event_types": []}, "invalid"),
        ({"url": "https://clinic.example", "event_types": ["case.viewed"]}, "invalid"),
        ({"url": "http://169.254.169.254/latest", "event_types": ["case.released"]}, "url_refused"),
        ({"url": "gopher://clinic.example", "event_types": ["case.released"]}, "url_refused"),
    ],
)
def test_what_makes_no_sense_is_refused(clinic: Clinic, body: dict[str, Any], code: str) -> None:
    status = 422 if code == "url_refused" else 400
    assert problem(clinic.post("/webhooks", body), status)["code"] == code
    assert not Endpoint.objects.exists()


def test_an_unknown_type_of_event_is_not_answered_with_no_deliveries(clinic: Clinic) -> None:
    endpoint = EndpointFactory(organisation=clinic.organisation)
    told = problem(clinic.get(f"/webhooks/{endpoint.pk}/deliveries", type="case.viewed"), 400)["errors"][0]
    assert told["message"].startswith("Send one of: batch.completed, ")
    assert good(clinic.get(f"/webhooks/{endpoint.pk}/deliveries", type="webhook.test"))["results"] == []


def test_another_clinics_delivery_is_not_replayed_through_ones_own_webhook(clinic: Clinic) -> None:
    ours = EndpointFactory(organisation=clinic.organisation)
    theirs = DeliveryFactory(state=Delivery.State.FAILED, ended_at=timezone.now())
    answer = clinic.post(f"/webhooks/{ours.pk}/deliveries/{theirs.pk}/replay")
    assert problem(answer, 404)["code"] == "not_found"
