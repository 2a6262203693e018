"""The pages of a clinic's webhooks: added, its secret shown once, tested, watched, replayed, removed."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import DeliveryFactory, EndpointFactory
from tests.webapp.webhooks.receiver import Receiver, Reply
from webapp.accounts.models import Organisation
from webapp.audit.models import Event
from webapp.webhooks import services
from webapp.webhooks.models import Delivery, Endpoint, EventType
from webapp.webhooks.services import MAX_ENDPOINTS, MAX_SECRETS

pytestmark = pytest.mark.django_db
State = Delivery.State


def page(client: Client, address: str, **form: object) -> str:
    response = client.post(address, form, follow=True) if form else client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def press(client: Client, endpoint: Endpoint, button: str) -> str:
    response = client.post(f"/webhooks/{endpoint.pk}/{button}/", follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_a_webhook_is_added_and_its_secret_shown_this_once(client: Client, clinic: Organisation) -> None:
    url = "https://clinic.example/hook?a=b"
    shown = page(client, "/webhooks/new/", url=url, description="Records", event_types=["case.released"])
    [secret] = re.findall(r'value="(whsec_[\w+/]{43}=)"', shown)
    endpoint = Endpoint.objects.get()
    assert (endpoint.organisation, endpoint.url, endpoint.event_types) == (clinic, url, ["case.released"])
    assert secret not in endpoint.sealed_secret
    for address in ("/webhooks/", f"/webhooks/{endpoint.pk}/", f"/webhooks/{endpoint.pk}/edit/"):
        shown = page(client, address)
        assert "clinic.example" in shown
        assert "whsec_" not in shown
    assert "whsec_" in press(client, endpoint, "rotate")
    shown = page(client, f"/webhooks/{endpoint.pk}/")
    assert "signs too until" in shown
    assert "from an earlier change" not in re.sub('data-confirm="[^"]*"', "", shown)
    press(client, endpoint, "rotate")
    assert ", one from an earlier change until" in page(client, f"/webhooks/{endpoint.pk}/")
    for _ in range(MAX_SECRETS - 1):
        shown = press(client, endpoint, "rotate")
    assert "Wait until one ends" in shown
    actions = Event.objects.filter(organisation=clinic, object_id=endpoint.pk).values_list("action", flat=True)
    assert list(actions.order_by("at")) == ["webhook.created", *["webhook.secret_rotated"] * (MAX_SECRETS - 1)]


def test_no_two_enabled_webhooks_send_to_one_address(client: Client, clinic: Organisation) -> None:
    old = EndpointFactory(organisation=clinic, state=Endpoint.State.DISABLED)
    EndpointFactory(organisation=clinic, url=old.url)
    other = EndpointFactory(organisation=clinic, url="https://clinic.example/other")
    assert "Events go to this address already" in press(client, old, "enable")
    changed = page(client, f"/webhooks/{other.pk}/edit/", url=old.url, event_types=["case.released"])
    assert "Events go to this address already" in changed
    assert set(Endpoint.objects.values_list("pk", "state", "url")) >= {
        (old.pk, "disabled", old.url),
        (other.pk, "enabled", "https://clinic.example/other"),
    }


@pytest.mark.parametrize(
    "url", ["ftp://clinic.example", "https://169.254.169.254/latest", "https://clinic.example:22/"]
)
def test_an_address_that_is_refused_says_why(client: Client, clinic: Organisation, url: str) -> None:
    shown = page(client, "/webhooks/new/", url=url, event_types=["case.released"])
    assert "invalid-feedback" in shown
    endpoint = EndpointFactory(organisation=clinic)
    assert "invalid-feedback" in page(client, f"/webhooks/{endpoint.pk}/edit/", url=url, event_types=["case.released"])
    assert Endpoint.objects.get().url == endpoint.url


def test_too_many_are_refused_and_no_event_is_no_webhook(client: Client, clinic: Organisation) -> None:
    shown = page(client, "/webhooks/new/", url="https://clinic.example")
    assert "Choose at least one event" in shown
    assert '<fieldset aria-describedby="id_event_types_error">' in shown
    EndpointFactory.create_batch(MAX_ENDPOINTS, organisation=clinic)
    shown = page(client, "/webhooks/new/", url="https://clinic.example", event_types=EventType.values)
    assert "Remove one that is not used" in shown
    assert Endpoint.objects.count() == MAX_ENDPOINTS


def test_a_webhook_is_changed_disabled_enabled_and_removed(client: Client, clinic: Organisation) -> None:
    endpoint = EndpointFactory(organisation=clinic)
    waiting = DeliveryFactory(endpoint=endpoint)
    page(client, f"/webhooks/{endpoint.pk}/edit/", url="https://new.example/", event_types=["batch.completed"])
    assert "new.example" in page(client, "/webhooks/")
    press(client, endpoint, "disable")
    waiting.refresh_from_db()
    assert (waiting.state, waiting.error) == (State.FAILED, "The endpoint was disabled before this was delivered.")
    shown = client.post(f"/webhooks/{endpoint.pk}/deliveries/{waiting.pk}/replay/", follow=True).content.decode()
    assert "Enable it, then replay" in shown
    press(client, endpoint, "enable")
    endpoint.refresh_from_db()
    assert endpoint.state == Endpoint.State.ENABLED
    press(client, endpoint, "remove")
    assert not Endpoint.objects.exists()
    actions = Event.objects.filter(object_id=endpoint.pk).order_by("at").values_list("action", flat=True)
    assert [action.partition(".")[2] for action in actions] == ["changed", "disabled", "enabled", "removed"]


def test_a_change_is_of_what_was_changed_on_the_page_and_leaves_a_colleagues(
    client: Client, clinic: Organisation
) -> None:
    endpoint = EndpointFactory(organisation=clinic, url="https://old.example/", event_types=["case.released"])
    shown = client.get(f"/webhooks/{endpoint.pk}/edit/")
    said = {field.html_initial_name: field.value() for field in shown.context["form"]}
    for name in said:
        assert f'name="{name}"' in shown.content.decode()
    as_shown = {name.removeprefix("initial-"): value for name, value in said.items()}
    Endpoint.objects.update(url="https://new.example/", event_types=["batch.completed"])

    page(client, f"/webhooks/{endpoint.pk}/edit/", **said, **{**as_shown, "description": "Records"})

    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.event_types) == ("https://new.example/", ["batch.completed"])
    assert endpoint.description == "Records"


def test_a_change_of_nothing_is_none(client: Client, clinic: Organisation) -> None:
    endpoint = EndpointFactory(organisation=clinic)
    shown = client.get(f"/webhooks/{endpoint.pk}/edit/")
    said = {field.html_initial_name: field.value() for field in shown.context["form"]}
    page(client, f"/webhooks/{endpoint.pk}/edit/", **said, **{n.removeprefix("initial-"): v for n, v in said.items()})
    assert not Event.objects.filter(action="webhook.changed").exists()


def test_the_list_says_that_tests_are_no_events(client: Client, clinic: Organisation) -> None:
    endpoint = EndpointFactory(organisation=clinic)
    taken = {"endpoint": endpoint, "state": State.DELIVERED, "ended_at": timezone.now(), "attempt": 1}
    DeliveryFactory(type="webhook.test", **taken)
    assert "No event yet, tests apart" in page(client, "/webhooks/")
    DeliveryFactory(**taken)
    assert "No event yet" not in page(client, "/webhooks/")


def test_a_test_is_sent_at_once_and_says_what_was_answered(
    client: Client, clinic: Organisation, receiver: Receiver
) -> None:
    endpoint = EndpointFactory(organisation=clinic, url=receiver.url, state=Endpoint.State.DISABLED)
    receiver.reply = Reply(204)
    assert "The test was taken: 204 after" in press(client, endpoint, "test")
    receiver.reply = Reply(410)
    assert "The test failed. It answered 410" in press(client, endpoint, "test")
    assert [request.headers["user-agent"] for request in receiver.received] == ["LesionLens-Webhooks/1"] * 2
    assert [delivery.state for delivery in Delivery.objects.order_by("created_at")] == [State.DELIVERED, State.FAILED]
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.failures) == (Endpoint.State.DISABLED, 0)
    failed = Delivery.objects.get(state=State.FAILED)
    client.post(f"/webhooks/{endpoint.pk}/deliveries/{failed.pk}/replay/")
    failed.refresh_from_db()
    assert failed.state == State.FAILED


@pytest.mark.parametrize("slow", [Reply(seconds=5), Reply(drip=0.05)], ids=["silent", "dripping"])
def test_a_test_does_not_wait_for_a_slow_endpoint(
    client: Client, clinic: Organisation, receiver: Receiver, slow: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "TEST_SECONDS", 0.5)
    endpoint = EndpointFactory(organisation=clinic, url=receiver.url)
    receiver.reply = slow
    assert "The test failed. No answer came in time." in press(client, endpoint, "test")
    assert Delivery.objects.get().log[0].milliseconds < 3000


def test_what_a_webhook_is_told_to_do_stands_once_in_its_log(client: Client, clinic: Organisation) -> None:
    endpoint = EndpointFactory(organisation=clinic)
    now, error = timezone.now(), "Nothing listens there. Start your software, or correct the address and its port."
    attempts = [{"at": now.isoformat(), "status": None, "milliseconds": 2, "error": error}] * 3
    DeliveryFactory(endpoint=endpoint, state=State.FAILED, ended_at=now, attempts=attempts, attempt=3, error=error)
    shown = page(client, f"/webhooks/{endpoint.pk}/")
    assert (shown.count(error), shown.count("no answer")) == (1, 3)


def test_the_log_shows_each_attempt_and_is_filtered_by_state(client: Client, clinic: Organisation) -> None:
    endpoint = EndpointFactory(organisation=clinic)
    now = timezone.now()
    attempts = [
        {"at": now.isoformat(), "status": None, "milliseconds": 15003, "error": "No answer came in time."},
        {"at": now.isoformat(), "status": 503, "milliseconds": 41, "error": "It answered 503."},
    ]
    failed = DeliveryFactory(endpoint=endpoint, state=State.FAILED, ended_at=now, attempts=attempts, attempt=2)
    waiting = DeliveryFactory(endpoint=endpoint)
    shown = page(client, f"/webhooks/{endpoint.pk}/")
    for words in ("no answer", "15003 ms", "No answer came in time.", "503", "41 ms", str(failed.pk), str(waiting.pk)):
        assert words in shown
    shown = page(client, f"/webhooks/{endpoint.pk}/?state=failed")
    assert str(failed.pk) in shown
    assert str(waiting.pk) not in shown


def test_one_delivery_is_replayed_and_all_that_failed_since_a_time(client: Client, clinic: Organisation) -> None:
    endpoint = EndpointFactory(organisation=clinic)
    now = timezone.now()
    old, *young = DeliveryFactory.create_batch(3, endpoint=endpoint, state=State.FAILED, ended_at=now, attempt=8)
    done = DeliveryFactory(endpoint=endpoint, state=State.DELIVERED, ended_at=now, attempt=1)
    Delivery.objects.filter(pk=old.pk).update(created_at=now - timedelta(days=2))
    since = (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert "2 events will be sent again" in page(client, f"/webhooks/{endpoint.pk}/replay-failed/", since=since)
    assert "Give the day" in page(client, f"/webhooks/{endpoint.pk}/replay-failed/", since="then")
    assert set(Delivery.objects.filter(state=State.PENDING, attempt=0)) == set(young)
    for delivery in (done, old):
        shown = client.post(f"/webhooks/{endpoint.pk}/deliveries/{delivery.pk}/replay/", follow=True).content.decode()
        assert "will be sent again" in shown
    assert Delivery.objects.filter(state=State.PENDING).count() == 4


@pytest.mark.parametrize(("state", "words"), [("gone", "answered 410 Gone"), ("failing", "every delivery had failed")])
def test_a_clinic_is_told_of_a_webhook_that_was_disabled(
    client: Client, clinic: Organisation, state: str, words: str
) -> None:
    endpoint = EndpointFactory(organisation=clinic, state=state, failures=1, failing_since=timezone.now())
    assert f"Disabled: {state}" in page(client, "/webhooks/")
    assert words in page(client, f"/webhooks/{endpoint.pk}/")
