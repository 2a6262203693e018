"""The life of a delivery: pending, sending, then delivered; or failed, once it was tried for more than a day.

A delivery is sent at least once. If its worker dies while it is sending, nobody knows whether the endpoint took it, so
it is sent again with the same `webhook-id`, by which a receiver knows a repeat.

No endpoint holds up another: each has few deliveries under way at a time, they take turns, and one that keeps failing
rests between attempts.
"""

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from webapp.audit.services import SYSTEM, record
from webapp.leases import UNLEASED, claim, expired
from webapp.queue import Task, ring_now
from webapp.webhooks.models import TEST, Delivery, Endpoint
from webapp.webhooks.post import LONGEST_WAIT, Answer, post
from webapp.webhooks.signing import SecretLostError, signed_headers, unseal

# After each attempt that failed: the schedule of the specification, 27 hours and a half in all.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600))
ATTEMPTS = len(PAUSES) + 1
JITTER = 0.2  # a pause is longer by up to this part of it, so that not all come at once
LEASE_SECONDS = 60  # far more than the time limits of one attempt
AT_ONCE = 2  # deliveries to one endpoint
RESTS_FROM = 3  # failures in a row
FIRST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=5)
DISABLED_AFTER = timedelta(days=3)  # of failures alone
UNTRIED = LONGEST_WAIT + timedelta(hours=1)  # between two attempts: longer than any pause, so nothing was to be sent
ATTEMPTS_KEPT = 30  # of one delivery, which people may replay without end
PRUNED_AT_ONCE = 1000
USER_AGENT = "LesionLens-Webhooks/1"
LOST = "The worker was lost while it was sending this."
DISABLED = "The endpoint was disabled before this was delivered."


def due() -> QuerySet[Delivery]:
    """Deliveries whose time has come, oldest first."""
    rows = Delivery.objects.filter(state=Delivery.State.PENDING, send_after__lte=timezone.now())
    return rows.order_by("send_after", "pk")


def claim_deliveries(*, limit: int) -> tuple[uuid.UUID, list[Delivery]]:
    """Lease up to `limit` due deliveries, `sending` from now on; endpoints take turns, a few deliveries each."""
    token, leased = claim(
        Delivery.objects.filter(pk__in=_next(limit), state=Delivery.State.PENDING).select_related("endpoint"),
        limit=limit,
        seconds=LEASE_SECONDS,
        state=Delivery.State.SENDING,
    )
    return token, leased


def _next(limit: int) -> list[uuid.UUID]:
    """The deliveries that should be sent next, of the endpoints that had no turn for longest."""
    theirs = due().filter(endpoint=OuterRef("pk"))
    sending = Delivery.objects.filter(endpoint=OuterRef("pk"), state=Delivery.State.SENDING)
    quiet = Q(quiet_until__gt=timezone.now())
    endpoints = (
        Endpoint.objects.filter(Exists(theirs), ~quiet, state=Endpoint.State.ENABLED)
        .annotate(
            sending=ArraySubquery(sending.values("pk")[:AT_ONCE]),
            waiting=ArraySubquery(theirs.values("pk")[:AT_ONCE]),
        )
        .order_by(F("tried_at").asc(nulls_first=True))
    )
    found: list[uuid.UUID] = []
    for sending_now, waiting in endpoints.values_list("sending", "waiting"):
        found += waiting[: AT_ONCE - len(sending_now)]
        if len(found) >= limit:
            break
    return found[:limit]


def send(delivery: Delivery, *, seconds: float | None = None) -> Answer:
    """One attempt at a leased delivery, within `seconds`, or as long as an attempt may take.

    It touches no row, so many may run in threads of their own.
    """
    endpoint, now = delivery.endpoint, timezone.now()
    try:
        before = [sealed for sealed, _ in endpoint.secrets_before(now)]
        keys = [unseal(sealed) for sealed in (endpoint.sealed_secret, *before)]
    except SecretLostError:
        return Answer(None, 0.0, "The signing secret cannot be read any more. Rotate it.")
    body = delivery.body.encode()
    headers = {"content-type": "application/json", "user-agent": USER_AGENT}
    headers |= signed_headers(webhook_id=str(delivery.pk), body=body, at=now, keys=keys)
    return post(endpoint.url, body=body, headers=headers, seconds=seconds)


@transaction.atomic
def finish(*, delivery: Delivery, token: uuid.UUID, answer: Answer) -> bool:
    """Write down what became of an attempt, and what it says of the endpoint. False if the lease was lost.

    Of an address that was corrected meanwhile it says nothing: what the one before did not take goes there at once, as
    what was waiting does.
    """
    endpoint = Endpoint.objects.select_for_update(no_key=True).filter(pk=delivery.endpoint_id).first()
    if endpoint is None:  # removed in the meantime, with its deliveries
        return False
    now = timezone.now()
    attempt = {
        "at": (now - timedelta(seconds=answer.seconds)).isoformat(),
        "status": answer.status,
        "milliseconds": round(1000 * answer.seconds),
        "error": answer.error,
    }
    corrected = endpoint.url != delivery.endpoint.url and delivery.type != TEST
    changes = {**_next_state(delivery, answer, now), "attempts": [*delivery.attempts, attempt][-ATTEMPTS_KEPT:]}
    if corrected and not answer.taken:
        changes |= {"state": Delivery.State.PENDING, "attempt": 0, "send_after": now, "ended_at": None}
    held = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.SENDING, lease_token=token)
    if not held.update(**changes, error=answer.error, **UNLEASED):
        return False
    if delivery.type != TEST and not corrected:
        _note(endpoint, answer, now)
    return True


def _next_state(delivery: Delivery, answer: Answer, now: datetime) -> dict[str, Any]:
    if answer.taken:
        return {"state": Delivery.State.DELIVERED, "ended_at": now}
    if delivery.type == TEST or answer.status == 410 or delivery.attempt >= ATTEMPTS:
        return {"state": Delivery.State.FAILED, "ended_at": now}
    pause = max(pause_after(delivery.attempt), answer.wait or timedelta(0))
    return {"state": Delivery.State.PENDING, "send_after": now + pause}


def pause_after(attempt: int) -> timedelta:
    """How long to wait after this attempt, counted from 1: ever longer, with some chance in it."""
    return PAUSES[attempt - 1] * (1 + random.uniform(0, JITTER))  # noqa: S311 - no secret


def _note(endpoint: Endpoint, answer: Answer, now: datetime) -> None:
    """What an attempt says of its endpoint, whose row the caller has locked."""
    tried_before, endpoint.tried_at = endpoint.tried_at, now
    if answer.taken:
        endpoint.failures, endpoint.failing_since, endpoint.quiet_until = 0, None, None
    else:
        endpoint.failures += 1
        if endpoint.failing_since is None or tried_before is None or now - tried_before > UNTRIED:
            endpoint.failing_since = now
        quiet = max(rest_after(endpoint.failures), answer.wait or timedelta(0))
        endpoint.quiet_until = now + quiet if quiet else endpoint.quiet_until
        if endpoint.state == Endpoint.State.ENABLED and answer.status == 410:
            _give_up(endpoint, Endpoint.State.GONE)
        elif endpoint.state == Endpoint.State.ENABLED and now - endpoint.failing_since > DISABLED_AFTER:
            _give_up(endpoint, Endpoint.State.FAILING)
    endpoint.save(update_fields=["tried_at", "failures", "failing_since", "quiet_until", "state"])
    if endpoint.state != Endpoint.State.ENABLED:
        drop_pending(Delivery.objects.filter(endpoint=endpoint))


def _give_up(endpoint: Endpoint, state: Endpoint.State) -> None:
    endpoint.state = state
    record(
        actor=SYSTEM,
        action="webhook.disabled",
        object_id=endpoint.pk,
        organisation=endpoint.organisation,
        detail=state.label,
    )


def rest_after(failures: int) -> timedelta:
    """How long an endpoint is left alone after so many failures in a row."""
    if failures < RESTS_FROM:
        return timedelta(0)
    doublings = min(failures - RESTS_FROM, 10)
    return min(FIRST_REST * (1 << doublings), LONGEST_REST)


def drop_pending(deliveries: QuerySet[Delivery]) -> int:
    """Fail those of a disabled endpoint that wait; a person may replay them once it is enabled. Gives how many."""
    pending = deliveries.filter(state=Delivery.State.PENDING)
    return pending.update(state=Delivery.State.FAILED, error=DISABLED, ended_at=timezone.now())


def sweep_webhooks() -> int:
    """Send again what a lost worker was sending, drop what waits for a disabled endpoint, forget what is old, and ring
    while deliveries are due; gives how many rows changed."""
    lost = Delivery.objects.filter(expired(), state=Delivery.State.SENDING)
    spent = Q(attempt__gte=ATTEMPTS) | Q(type=TEST)
    changed = lost.filter(spent).update(state=Delivery.State.FAILED, ended_at=timezone.now(), error=LOST, **UNLEASED)
    changed += lost.update(state=Delivery.State.PENDING, error=LOST, **UNLEASED)
    changed += drop_pending(Delivery.objects.exclude(endpoint__state=Endpoint.State.ENABLED))
    changed += _prune()
    if _next(1):
        ring_now(Task.WEBHOOKS, again=True)
    return changed


def _prune() -> int:
    before = timezone.now() - timedelta(days=settings.WEBHOOK_KEEP_DAYS)
    old = Delivery.objects.filter(created_at__lt=before, ended_at__isnull=False).order_by("created_at")
    return Delivery.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:PRUNED_AT_ONCE])).delete()[0]
