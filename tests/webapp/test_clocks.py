"""Machines whose clocks disagree: answers are in the order in which they were written, and leases last as said."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.factories import ReleaseFactory
from tests.webapp.inference.scenes import outcome, submitted_batch
from webapp.audit.services import SYSTEM
from webapp.cases.models import Case
from webapp.inference.claim import claim_jobs
from webapp.inference.models import Job, Result
from webapp.inference.reruns import rescore
from webapp.inference.selectors import answer_of, image_answer, with_answers
from webapp.inference.services import finish, sweep_jobs
from webapp.leases import extend
from webapp.registry.models import ModelRelease
from webapp.registry.services import promote

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """How far the clock of the machine that works now goes ahead of the others'."""
    ahead, now = [timedelta()], timezone.now
    monkeypatch.setattr("django.utils.timezone.now", lambda: now() + ahead[0])
    return ahead


def test_a_case_shows_the_answer_of_each_image_whatever_machine_wrote_it(
    release: ModelRelease, clock: list[timedelta]
) -> None:
    submitted_batch([2])
    token, jobs = claim_jobs(limit=2)
    clock[0] = timedelta(hours=1)
    finish(token=token, ends=[(jobs[0], outcome(release))])
    clock[0] = timedelta()
    finish(token=token, ends=[(jobs[1], outcome(release))])

    [case] = with_answers(Case.objects.all())
    assert case.answer is not None
    assert case.answer.images == 2
    for image in case.images.all():
        assert image_answer(image) == answer_of(image) == Result.objects.get(image=image)


def test_what_was_answered_last_holds_though_the_clock_of_its_machine_is_behind(
    release: ModelRelease, clock: list[timedelta]
) -> None:
    batch = submitted_batch([1])
    for answering in (release, ReleaseFactory()):
        if answering != release:
            promote(actor=SYSTEM, release=answering)
            rescore(actor=SYSTEM, batch=batch)
        token, [job] = claim_jobs(limit=1)
        finish(token=token, ends=[(job, outcome(answering))])
        clock[0] -= timedelta(hours=1)

    case, of_image = Case.objects.get(), answer_of(job.image)
    assert case.answer is not None
    assert of_image is not None
    assert (case.answer.release, of_image.release) == (answering, answering)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_lease_is_swept_by_the_clock_that_set_it(
    ahead: timedelta, clock: list[timedelta], settings: Settings
) -> None:
    submitted_batch([1])
    clock[0] = -ahead
    token, [job] = claim_jobs(limit=1)
    clock[0] = ahead
    assert sweep_jobs() == 0
    clock[0] = -ahead
    assert extend(Job.objects.filter(pk=job.pk), token) == 1
    clock[0] = ahead
    assert sweep_jobs() == 0

    Job.objects.update(lease_until=F("lease_until") - timedelta(seconds=settings.LEASE_SECONDS + 1))
    assert sweep_jobs() == 1
