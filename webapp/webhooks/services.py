"""What a clinic does with its webhooks."""

import threading
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from webapp.accounts.models import Organisation
from webapp.audit.services import Actor, record
from webapp.errors import Problem
from webapp.leases import lasting
from webapp.queue import Task, ring
from webapp.slots import a_slot
from webapp.webhooks.addresses import TargetRefusedError, parse
from webapp.webhooks.delivery import LEASE_SECONDS, drop_pending, finish, send
from webapp.webhooks.events import body_of
from webapp.webhooks.models import TEST, Delivery, Endpoint, EventType
from webapp.webhooks.signing import is_lost, new_secret, reseal, seal

OVERLAP = timedelta(hours=24)  # in which a secret signs on after its rotation
MAX_SECRETS = 10  # of an endpoint that sign at once
MAX_ENDPOINTS = 20  # of one organisation
TEST_SECONDS = 5.0  # a person waits for a test, and so does a thread of the site
TESTS = threading.Semaphore(4)  # at once in each process of the site
UNTROUBLED = {"failures": 0, "failing_since": None, "quiet_until": None}


@transaction.atomic
def create_endpoint(
    *, actor: Actor, organisation: Organisation, url: str, event_types: Iterable[str], description: str = ""
) -> tuple[Endpoint, str]:
    """A new endpoint and its secret, which is never shown again.

    Raises Problem `url_refused`, `too_many_webhooks`, and `webhook_exists` where events go to this address already: a
    repeated request would have them sent twice.
    """
    _check(url)
    _lock(organisation.pk)
    there = Endpoint.objects.filter(organisation=organisation)
    _require_only(there.filter(url=url))
    if there.count() >= MAX_ENDPOINTS:
        raise Problem("too_many_webhooks", f"There are {MAX_ENDPOINTS} webhooks already. Remove one that is not used.")
    secret = new_secret()
    endpoint = Endpoint.objects.create(
        organisation=organisation,
        url=url,
        event_types=_in_order(event_types),
        description=description,
        sealed_secret=seal(secret),
    )
    _record(actor, "created", endpoint)
    return endpoint, secret


@transaction.atomic
def change_endpoint(
    *,
    actor: Actor,
    endpoint: Endpoint,
    url: str | None = None,
    event_types: Iterable[str] | None = None,
    description: str | None = None,
) -> None:
    """Another address, other events, another description; None leaves what is there. To another address what waits goes
    at once, as if nothing had failed: that was at the one before.

    Raises Problem `url_refused`, and `webhook_exists` where the events of an enabled one would go to one address twice.
    """
    if url is not None:
        _check(url)
        _lock(endpoint.organisation_id)
        if Endpoint.objects.filter(pk=endpoint.pk, state=Endpoint.State.ENABLED).exists():
            _require_only(_others(endpoint).filter(url=url))
    changes = {
        "url": url,
        "event_types": None if event_types is None else _in_order(event_types),
        "description": description,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    rows = Endpoint.objects.filter(pk=endpoint.pk)
    if url is not None and rows.filter(state=Endpoint.State.ENABLED).exclude(url=url).update(**UNTROUBLED):
        waiting = Delivery.objects.filter(endpoint=endpoint, state=Delivery.State.PENDING)
        waiting.update(attempt=0, send_after=timezone.now())
        ring(Task.WEBHOOKS)
    rows.update(**given)
    _record(actor, "changed", endpoint)


@transaction.atomic
def enable(*, actor: Actor, endpoint: Endpoint) -> None:
    """Send to this endpoint again, as if it had never failed. Twice changes nothing.

    Raises Problem `webhook_exists` where another sends to its address by now.
    """
    _lock(endpoint.organisation_id)
    _require_only(_others(endpoint).filter(url__in=Endpoint.objects.filter(pk=endpoint.pk).values("url")))
    disabled = Endpoint.objects.filter(pk=endpoint.pk).exclude(state=Endpoint.State.ENABLED)
    if disabled.update(state=Endpoint.State.ENABLED, **UNTROUBLED):
        _record(actor, "enabled", endpoint)


@transaction.atomic
def disable(*, actor: Actor, endpoint: Endpoint) -> None:
    """Send nothing more to this endpoint; what waits for it fails. Twice changes nothing."""
    _lock(endpoint.organisation_id)  # before the endpoint's own row, as others do
    enabled = Endpoint.objects.filter(pk=endpoint.pk, state=Endpoint.State.ENABLED)
    if enabled.update(state=Endpoint.State.DISABLED):
        drop_pending(Delivery.objects.filter(endpoint=endpoint))
        _record(actor, "disabled", endpoint)


@transaction.atomic
def remove_endpoint(*, actor: Actor, endpoint: Endpoint) -> None:
    """Forget an endpoint with its deliveries."""
    _record(actor, "removed", endpoint)
    Endpoint.objects.filter(pk=endpoint.pk).delete()


@transaction.atomic
def rotate_secret(*, actor: Actor, endpoint: Endpoint) -> str:
    """A new secret, which is never shown again. The one before it signs too for a day, and so does each of before for
    the rest of its own: where the answer to a rotation was lost, its receiver has one of those. What no SECRET_KEY
    reads signs no more. Raises Problem `too_many_secrets`.
    """
    endpoint = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    secret, now = new_secret(), timezone.now()
    before = [(endpoint.sealed_secret, now + OVERLAP), *endpoint.secrets_before(now)]
    readable = [(sealed, until) for sealed, until in before if not is_lost(sealed)]
    if len(readable) >= MAX_SECRETS:
        told = f"{MAX_SECRETS} secrets of this webhook sign already. Wait until one ends, a day after its rotation."
        raise Problem("too_many_secrets", told)
    _keep(endpoint, seal(secret), readable)
    _record(actor, "secret_rotated", endpoint)
    return secret


@transaction.atomic
def reseal_secrets() -> list[Endpoint]:
    """Encrypt every secret under the present SECRET_KEY, so that an earlier one can go. Gives the endpoints whose own
    no key reads any more, which it leaves as they are. A secret before a rotation that none reads signs no more.
    """
    lost, now = [], timezone.now()
    for endpoint in Endpoint.objects.select_for_update(no_key=True).order_by("pk"):
        if is_lost(endpoint.sealed_secret):
            lost.append(endpoint)
            continue
        before = [(reseal(sealed), until) for sealed, until in endpoint.secrets_before(now) if not is_lost(sealed)]
        _keep(endpoint, reseal(endpoint.sealed_secret), before)
    return lost


def _keep(endpoint: Endpoint, sealed: str, before: Sequence[tuple[str, datetime]]) -> None:
    """Write down an endpoint's secret and those from `before`, the newest first. That has columns of its own, from
    which versions sign that know no earlier ones.
    """
    endpoint.sealed_secret = sealed
    endpoint.sealed_previous_secret, endpoint.previous_secret_until = before[0] if before else ("", None)
    endpoint.sealed_earlier_secrets = [(each, until.isoformat()) for each, until in before[1:]]
    fields = ["sealed_secret", "sealed_previous_secret", "previous_secret_until", "sealed_earlier_secrets"]
    endpoint.save(update_fields=fields)


def send_test(*, actor: Actor, endpoint: Endpoint) -> Delivery:
    """Send a `webhook.test` event now, once, whether or not the endpoint is enabled; gives its delivery.

    Fails after TEST_SECONDS without an answer. Raises Problem `busy` where too many tests wait for theirs.
    """
    with a_slot(TESTS):
        return _send_test(actor, endpoint)


def _send_test(actor: Actor, endpoint: Endpoint) -> Delivery:
    now, token = timezone.now(), uuid.uuid4()
    with transaction.atomic():
        delivery = Delivery.objects.create(
            endpoint=endpoint,
            type=TEST,
            occasion=str(token),
            body=body_of(TEST, {}),
            state=Delivery.State.SENDING,
            send_after=now,
            attempt=1,
            lease_token=token,
            lease_until=lasting(LEASE_SECONDS),
        )
        _record(actor, "tested", endpoint)
    finish(delivery=delivery, token=token, answer=send(delivery, seconds=TEST_SECONDS))
    delivery.refresh_from_db()
    return delivery


@transaction.atomic
def replay(*, actor: Actor, delivery: Delivery) -> None:
    """Send a delivery that has ended once more, with the same id. Raises Problem `webhook_disabled`, `not_ended`."""
    _check_enabled(delivery.endpoint)
    if not _again(Delivery.objects.filter(pk=delivery.pk), delivery.endpoint):
        raise Problem("not_ended", "This delivery is still being tried, or was a test. Nothing was changed.")
    _record(actor, "replayed", delivery.endpoint, detail=f"delivery={delivery.pk}")


@transaction.atomic
def replay_failed(*, actor: Actor, endpoint: Endpoint, since: datetime) -> int:
    """Send every delivery once more that failed and whose event came at `since` or later; gives how many.

    Raises Problem `webhook_disabled`.
    """
    _check_enabled(endpoint)
    failed = endpoint.deliveries.filter(state=Delivery.State.FAILED, created_at__gte=since)
    count = _again(failed, endpoint)
    _record(actor, "replayed", endpoint, detail=f"deliveries={count}")
    return count


def _again(deliveries: QuerySet[Delivery], endpoint: Endpoint) -> int:
    ended = deliveries.filter(ended_at__isnull=False).exclude(type=TEST)
    count = ended.update(state=Delivery.State.PENDING, attempt=0, send_after=timezone.now(), ended_at=None, error="")
    Endpoint.objects.filter(pk=endpoint.pk).update(quiet_until=None)
    ring(Task.WEBHOOKS)
    return count


def _in_order(event_types: Iterable[str]) -> list[str]:
    wanted = set(event_types)
    return [event_type for event_type in EventType.values if event_type in wanted]


def _lock(organisation_id: int) -> None:
    """Nobody else adds, changes or enables a webhook of this clinic until this transaction ends."""
    Organisation.objects.select_for_update(no_key=True).get(pk=organisation_id)


def _others(endpoint: Endpoint) -> QuerySet[Endpoint]:
    return Endpoint.objects.filter(organisation_id=endpoint.organisation_id).exclude(pk=endpoint.pk)


def _require_only(same: QuerySet[Endpoint]) -> None:
    """Raises Problem `webhook_exists` where one of those of the `same` address is enabled."""
    if enabled := same.filter(state=Endpoint.State.ENABLED).first():
        raise Problem(
            "webhook_exists",
            "Events go to this address already. Change that webhook, or make a new secret for it if none has arrived.",
            webhook_id=str(enabled.pk),
        )


def _check(url: str) -> None:
    try:
        parse(url)
    except TargetRefusedError as refused:
        raise Problem("url_refused", str(refused), status=422) from refused


def _check_enabled(endpoint: Endpoint) -> None:
    if endpoint.state != Endpoint.State.ENABLED:
        raise Problem("webhook_disabled", "This webhook is disabled. Enable it, then replay.")


def _record(actor: Actor, verb: str, endpoint: Endpoint, detail: str = "") -> None:
    record(
        actor=actor,
        action=f"webhook.{verb}",
        object_id=endpoint.pk,
        organisation=endpoint.organisation,
        detail=detail,
    )
