"""How far a batch is: what is counted, how fast it goes now, and what it costs to ask."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import BatchFactory, CaseResultFactory, ImageFactory, JobFactory
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.models import NOT_A_LESION, Batch
from webapp.cases.services import cancel_batch
from webapp.inference.models import Job
from webapp.inference.selectors import progress

pytestmark = pytest.mark.django_db


def running_batch(*, minutes: float, waiting: int) -> Batch:
    batch: Batch = BatchFactory(submitted=True, remaining=waiting)
    Batch.objects.filter(pk=batch.pk).update(submitted_at=timezone.now() - timedelta(minutes=minutes))
    for _ in range(waiting):
        JobFactory(image=ImageFactory(case__batch=batch, ready=True))
    batch.refresh_from_db()
    return batch


def answer(batch: Batch, count: int, *, seconds_ago: float) -> None:
    for _ in range(count):
        job = JobFactory(image=ImageFactory(case__batch=batch, ready=True), succeeded=True)
        Job.objects.filter(pk=job.pk).update(finished_at=timezone.now() - timedelta(seconds=seconds_ago))


def test_the_pace_is_that_of_the_last_minute() -> None:
    batch = running_batch(minutes=60, waiting=12)
    answer(batch, 5, seconds_ago=3000)
    assert progress(batch).per_minute is None
    assert progress(batch).seconds_left is None

    answer(batch, 6, seconds_ago=10)
    state = progress(batch)
    assert (state.total, state.done, state.per_minute, state.seconds_left) == (23, 11, 6, 120)


def test_what_the_model_refuses_or_fails_at_is_part_of_the_pace() -> None:
    batch = running_batch(minutes=60, waiting=12)
    answer(batch, 3, seconds_ago=10)
    for reason in (NOT_A_LESION, NOT_A_LESION, "model_error"):
        image = ImageFactory(case__batch=batch, ready=True)
        JobFactory(image=image, state=Job.State.FAILED, reason=reason, finished_at=timezone.now())
    state = progress(batch)
    assert (state.per_minute, state.seconds_left) == (6, 120)


def test_a_second_run_that_was_stopped_is_no_part_of_the_pace(clinic: Organisation) -> None:
    now, ended = timezone.now(), timezone.now() - timedelta(hours=1)
    at_the_model = {"state": Job.State.RUNNING, "lease_token": uuid.uuid4(), "lease_until": now}
    batch: Batch = BatchFactory(organisation=clinic, submitted=True, submitted_at=ended, remaining=5)
    for number in range(5):
        image = ImageFactory(case__batch=batch, ready=True)
        JobFactory(image=image, state=Job.State.FAILED, reason="model_error", finished_at=ended)
        JobFactory(image=image, **(at_the_model if number == 0 else {}))

    cancel_batch(actor=SYSTEM, batch=batch)

    batch.refresh_from_db()
    assert (batch.state, batch.remaining, progress(batch).per_minute) == ("submitted", 1, None)


def test_a_batch_that_has_just_begun_is_judged_by_its_own_time() -> None:
    batch = running_batch(minutes=0.25, waiting=8)
    answer(batch, 4, seconds_ago=1)

    state = progress(batch)
    assert state.per_minute in (15, 16)
    assert state.seconds_left in (30, 31, 32)


def test_asking_takes_four_queries_for_any_number_of_cases(django_assert_num_queries: Any) -> None:
    batch = running_batch(minutes=1, waiting=3)
    for _ in range(5):
        CaseResultFactory(case__batch=batch)

    with django_assert_num_queries(4):
        assert progress(batch).advice["urgent_referral"] == 5


def test_progress_says_how_fast_the_model_is_and_how_long_it_takes(client: Client, clinic: Organisation) -> None:
    begun = timezone.now() - timedelta(minutes=10)
    batch = BatchFactory(organisation=clinic, submitted=True, submitted_at=begun, remaining=2400)
    address = reverse("cases:batch_progress", args=[batch.pk])
    JobFactory(image=ImageFactory(case__batch=batch, ready=True))
    assert "Waiting for the model." in client.get(address).content.decode()

    ended = {"reason": "model_error", "finished_at": timezone.now()}
    for _ in range(4):
        JobFactory(image=ImageFactory(case__batch=batch, ready=True), state="failed", **ended)
    assert "About 10 hours left. 4 images a minute now." in " ".join(client.get(address).content.decode().split())
