"""The promises of the outbox of events, whatever dies: each is sent until it is taken, and ends; none is lost."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pytest_django.fixtures import Settings

from tests.factories import DeliveryFactory, EndpointFactory
from webapp.audit.services import SYSTEM
from webapp.operations.selectors import waiting
from webapp.webhooks.delivery import (
    AT_ONCE,
    ATTEMPTS,
    JITTER,
    LONGEST_REST,
    PAUSES,
    claim_deliveries,
    finish,
    pause_after,
    rest_after,
    sweep_webhooks,
)
from webapp.webhooks.models import Delivery, Endpoint
from webapp.webhooks.post import Answer
from webapp.webhooks.services import disable, enable, replay_failed

State = Delivery.State
TAKEN, REFUSED, GONE = Answer(204, 0.1), Answer(500, 0.1, "It answered 500."), Answer(410, 0.1, "It is gone.")


def test_the_schedule_covers_more_than_a_day_and_less_than_the_days_that_disable() -> None:
    assert timedelta(days=1) < sum(PAUSES, timedelta(0)) * (1 + JITTER) < timedelta(days=2)


@given(attempt=st.integers(1, ATTEMPTS - 1))
def test_a_pause_is_never_shorter_than_the_schedule_and_hardly_longer(attempt: int) -> None:
    pause = pause_after(attempt)
    assert PAUSES[attempt - 1] <= pause <= PAUSES[attempt - 1] * (1 + JITTER)
    assert attempt == ATTEMPTS - 1 or pause <= PAUSES[attempt] * (1 + JITTER)


@given(failures=st.integers(0, 10**9))
def test_a_rest_grows_up_to_five_minutes(failures: int) -> None:
    assert timedelta(0) <= rest_after(failures) <= rest_after(failures + 1) <= LONGEST_REST


@pytest.mark.django_db
def test_pauses_differ() -> None:
    assert len({pause_after(3) for _ in range(20)}) > 1


@pytest.mark.django_db(transaction=True)
def test_endpoints_take_turns_however_much_waits_for_one() -> None:
    busy, *others = EndpointFactory.create_batch(4)
    old = timezone.now() - timedelta(hours=1)
    DeliveryFactory.create_batch(50, endpoint=busy, send_after=old)
    late = [DeliveryFactory(endpoint=other).endpoint_id for other in others]
    token, leased = claim_deliveries(limit=5)
    assert sorted(d.endpoint_id for d in leased) == sorted([*late, busy.pk, busy.pk])
    assert claim_deliveries(limit=5)[1] == []  # what is under way counts
    for delivery in leased:
        assert finish(delivery=delivery, token=token, answer=TAKEN)
    assert len(claim_deliveries(limit=5)[1]) == AT_ONCE


@pytest.mark.django_db(transaction=True)
def test_who_had_no_turn_for_longest_is_first() -> None:
    first, second = EndpointFactory.create_batch(2)
    for endpoint in (first, second):
        DeliveryFactory.create_batch(3, endpoint=endpoint)
    order = []
    for _ in range(4):
        token, [delivery] = claim_deliveries(limit=1)
        order.append(delivery.endpoint_id)
        finish(delivery=delivery, token=token, answer=TAKEN)
    assert order[0] != order[1]
    assert order[:2] == order[2:]


@pytest.mark.django_db(transaction=True)
def test_old_deliveries_are_forgotten_once_they_have_ended(settings: Settings) -> None:
    settings.WEBHOOK_KEEP_DAYS = 30
    long_ago = timezone.now() - timedelta(days=31)
    ended = DeliveryFactory(state=State.DELIVERED, ended_at=long_ago)
    undelivered, young = DeliveryFactory(), DeliveryFactory(state=State.FAILED, ended_at=timezone.now())
    Delivery.objects.filter(pk__in=[ended.pk, undelivered.pk]).update(created_at=long_ago)
    assert sweep_webhooks() == 1
    assert set(Delivery.objects.values_list("pk", flat=True)) == {undelivered.pk, young.pk}


@pytest.mark.django_db
def test_an_operator_sees_how_long_the_oldest_has_been_due() -> None:
    now = timezone.now()
    DeliveryFactory(send_after=now + timedelta(hours=9))
    DeliveryFactory(send_after=now - timedelta(hours=1), endpoint__quiet_until=now + timedelta(hours=1))
    [pending] = [row for row in waiting() if (row.kind, row.state) == ("webhook", "pending")]
    assert (pending.count, pending.age) == (2, 0)
    DeliveryFactory(send_after=now - timedelta(minutes=1))
    [pending] = [row for row in waiting() if (row.kind, row.state) == ("webhook", "pending")]
    assert pending.count == 3
    assert 60 <= pending.age < 120


@pytest.mark.django_db(transaction=True)
def test_no_event_is_lost_or_unended_whatever_dies() -> None:
    """Workers claim, send, die, wake up late; people disable, enable and replay; the sweep runs at any moment."""
    run_state_machine_as_test(
        Outbox,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


class Outbox(RuleBasedStateMachine):
    """An endpoint with its deliveries, and the workers that hold some; `taken` is what the receiver has."""

    def __init__(self) -> None:
        super().__init__()
        Endpoint.objects.all().delete()
        self.endpoint = EndpointFactory()
        self.held: list[tuple[uuid.UUID, Delivery]] = []
        self.taken: set[uuid.UUID] = set()
        self.written = 0

    @rule()
    def event(self) -> None:
        DeliveryFactory(endpoint=self.endpoint)
        self.written += 1

    @rule()
    def time_passes(self) -> None:
        Delivery.objects.filter(state=State.PENDING).update(send_after=timezone.now() - timedelta(seconds=1))
        Endpoint.objects.update(quiet_until=None)

    @rule()
    def a_worker_claims(self) -> None:
        token, leased = claim_deliveries(limit=3)
        assert len(leased) <= AT_ONCE
        assert all(delivery.state == State.SENDING for delivery in leased)
        self.held += [(token, delivery) for delivery in leased]

    @precondition(lambda self: self.held)
    @rule(answer=st.sampled_from([TAKEN, REFUSED, GONE]))
    def a_worker_finishes(self, answer: Answer) -> None:
        token, delivery = self.held.pop(0)
        if answer.taken:
            self.taken.add(delivery.pk)
        still = Delivery.objects.filter(pk=delivery.pk, lease_token=token).exists()
        assert finish(delivery=delivery, token=token, answer=answer) == still

    @rule()
    def leases_run_out(self) -> None:
        Delivery.objects.filter(state=State.SENDING).update(lease_until=timezone.now() - timedelta(seconds=1))
        sweep_webhooks()
        assert not Delivery.objects.filter(state=State.SENDING).exists()

    @rule(on=st.booleans())
    def somebody_switches(self, on: bool) -> None:
        (enable if on else disable)(actor=SYSTEM, endpoint=self.endpoint)

    @rule()
    def somebody_replays(self) -> None:
        enable(actor=SYSTEM, endpoint=self.endpoint)
        self.endpoint.refresh_from_db()
        failed = Delivery.objects.filter(state=State.FAILED).count()
        since = timezone.now() - timedelta(hours=1)
        assert replay_failed(actor=SYSTEM, endpoint=self.endpoint, since=since) == failed

    @invariant()
    def nothing_is_lost_or_delivered_untaken(self) -> None:
        assert Delivery.objects.count() == self.written
        delivered = set(Delivery.objects.filter(state=State.DELIVERED).values_list("pk", flat=True))
        assert delivered <= self.taken

    @invariant()
    def a_disabled_endpoint_gets_nothing(self) -> None:
        if Endpoint.objects.get().state != Endpoint.State.ENABLED:
            assert claim_deliveries(limit=5)[1] == []

    @invariant()
    def no_more_attempts_than_the_schedule_has(self) -> None:
        assert not Delivery.objects.filter(attempt__gt=ATTEMPTS).exists()

    def teardown(self) -> None:
        """In the end all is taken, once nothing dies and the endpoint is well."""
        self.leases_run_out()
        self.somebody_replays()
        self.time_passes()
        for _ in range(self.written + 1):
            token, leased = claim_deliveries(limit=AT_ONCE)
            for delivery in leased:
                finish(delivery=delivery, token=token, answer=TAKEN)
        assert not Delivery.objects.exclude(state=State.DELIVERED).exists()
