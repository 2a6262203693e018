"""What became of a whole batch is written at once, and costs no more queries for many images than for few."""

import uuid
from contextlib import suppress
from threading import Barrier, BrokenBarrierError

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import OrganisationFactory
from tests.webapp.elsewhere import at_once
from tests.webapp.inference.scenes import outcome, submitted_batch
from webapp.cases.models import Batch, Case
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult, Job, Result
from webapp.inference.services import End, finish
from webapp.registry.models import ModelRelease

pytestmark = pytest.mark.django_db(transaction=True)


def queries_to_answer(release: ModelRelease, cases: int) -> int:
    submitted_batch([1] * (cases + 1))  # one is left, so that nobody is told
    token, jobs = claim_jobs(limit=cases)
    with CaptureQueriesContext(connection) as queries:
        assert len(finish(token=token, ends=[(job, outcome(release)) for job in jobs])) == cases
    assert CaseResult.objects.count() == Case.objects.exclude(answer=None).count() == cases
    Job.objects.all().delete()
    Batch.objects.all().delete()
    return len(queries)


def test_many_images_cost_as_many_queries_as_few(release: ModelRelease) -> None:
    assert queries_to_answer(release, 2) == queries_to_answer(release, 24)


def test_an_answer_a_failure_and_a_lost_lease_each_end_as_they_must(release: ModelRelease) -> None:
    batch = submitted_batch([1, 1, 1])
    token, [answered, failed, lost] = claim_jobs(limit=3)
    Job.objects.filter(pk=lost.pk).update(state=Job.State.QUEUED, lease_token=None, lease_until=None)

    ends: list[tuple[Job, End]] = [(answered, outcome(release)), (failed, "model_error"), (lost, outcome(release))]
    assert finish(token=token, ends=ends) == {answered.pk, failed.pk}

    batch.refresh_from_db()
    assert (batch.remaining, batch.failures) == (1, 1)
    assert [result.job_id for result in Result.objects.all()] == [answered.pk]
    lost.refresh_from_db()
    assert lost.state == Job.State.QUEUED


def test_two_workers_that_hold_images_of_the_same_batches_never_wait_for_each_other(release: ModelRelease) -> None:
    clinics = OrganisationFactory.create_batch(4)
    for clinic in clinics:
        submitted_batch([1] * 12, organisation=clinic)

    def work(_: int) -> int:
        done = misses = 0
        while misses < 20:
            token, jobs = claim_jobs(limit=5)
            misses = 0 if jobs else misses + 1
            done += len(finish(token=token, ends=[(job, outcome(release)) for job in reversed(jobs)]))
        return done

    assert sum(at_once(work, range(3))) == 48
    assert {batch.state for batch in Batch.objects.all()} == {Batch.State.COMPLETED}


def test_two_workers_that_end_photos_of_the_same_clinics_never_wait_for_each_other(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tells both clinics, so holds both: by the ids of their batches alone, one of them in each order."""
    one, another = OrganisationFactory.create_batch(2)
    for number, clinic in enumerate([one, another, another, one], start=1):
        submitted_batch([1], id=uuid.UUID(int=number), organisation=clinic, source=Batch.Source.PATIENT)
    token, jobs = claim_jobs(limit=4)
    both_have_one = Barrier(2)

    def wait_for_the_other(*, batch: Batch) -> None:
        with suppress(BrokenBarrierError):
            both_have_one.wait(0.5)

    def work(batches: set[int]) -> int:
        ends: list[tuple[Job, End]] = [(job, outcome(release)) for job in jobs if job.batch_id.int in batches]
        return len(finish(token=token, ends=ends))

    monkeypatch.setattr("webapp.inference.completion.batch_completed", wait_for_the_other)
    assert at_once(work, [{1, 2}, {3, 4}]) == [2, 2]
