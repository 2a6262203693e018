"""Who goes first at the model, and that no image is ever given to two workers."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import BatchFactory, CaseFactory, ImageFactory, JobFactory
from tests.webapp.elsewhere import at_once
from webapp.cases.intake import claim_images
from webapp.cases.models import Batch, Priority
from webapp.inference.claim import claim_jobs, somebody_waits
from webapp.inference.models import Job
from webapp.inference.services import finish, sweep_jobs

pytestmark = pytest.mark.django_db(transaction=True)


def queue(batch: Batch, count: int) -> list[int]:
    """Queue `count` images in a batch; gives the jobs' ids."""
    case = CaseFactory(batch=batch)
    return [JobFactory(image=ImageFactory(case=case, ready=True)).pk for _ in range(count)]


def test_a_claim_leases_the_job_before_any_work() -> None:
    [job_id] = queue(BatchFactory(submitted=True), 1)

    token, [job] = claim_jobs(limit=16)

    stored = Job.objects.get(pk=job_id)
    assert job.pk == job_id
    assert (stored.state, stored.attempt, stored.lease_token) == (Job.State.RUNNING, 1, token)
    assert stored.lease_until is not None
    assert claim_jobs(limit=16)[1] == []


def test_a_patients_photo_goes_ahead_of_bulk_work() -> None:
    queue(BatchFactory(submitted=True), 5)
    [photo] = queue(BatchFactory(submitted=True, priority=Priority.INTERACTIVE), 1)

    _, [first] = claim_jobs(limit=1)

    assert first.pk == photo


def test_organisations_take_turns_inside_bulk_work() -> None:
    backlog = queue(BatchFactory(submitted=True), 40)
    small = queue(BatchFactory(submitted=True), 3)

    _, jobs = claim_jobs(limit=6)

    claimed = {job.pk for job in jobs}
    assert claimed == set(backlog[:3]) | set(small)


def test_one_organisation_alone_is_served_in_order() -> None:
    ids = queue(BatchFactory(submitted=True), 10)

    assert [job.pk for job in claim_jobs(limit=4)[1]] == ids[:4]
    assert [job.pk for job in claim_jobs(limit=4)[1]] == ids[4:8]


def test_workers_that_claim_at_once_share_the_queue_without_doubles() -> None:
    ids = queue(BatchFactory(submitted=True), 60) + queue(BatchFactory(submitted=True), 60)

    def drain(_: int) -> list[int]:
        taken: list[int] = []
        misses = 0
        while misses < 20:  # rows that others are claiming are skipped, so an empty claim is not the end
            jobs = claim_jobs(limit=7)[1]
            misses = 0 if jobs else misses + 1
            taken += [job.pk for job in jobs]
        return taken

    taken = [pk for pks in at_once(drain, range(6), threads=6) for pk in pks]

    assert sorted(taken) == sorted(ids)


def test_an_organisation_with_more_weight_has_more_at_each_turn() -> None:
    group = queue(BatchFactory(submitted=True, organisation__weight=3), 20)
    practice = queue(BatchFactory(submitted=True), 20)

    _, jobs = claim_jobs(limit=8)

    assert {job.pk for job in jobs} == {*group[:6], *practice[:2]}


def test_where_a_claim_is_too_small_for_all_chance_leaves_nobody_out() -> None:
    backlogs = [set(queue(BatchFactory(submitted=True), 12)) for _ in range(4)]

    served = [job.pk for _ in range(20) for job in claim_jobs(limit=2)[1]]

    assert all(backlog & set(served[:32]) for backlog in backlogs)


def test_bulk_work_can_be_left_where_it_is() -> None:
    queue(BatchFactory(submitted=True), 2)
    assert not somebody_waits()
    assert claim_jobs(limit=5, people_only=True)[1] == []
    [photo] = queue(BatchFactory(submitted=True, priority=Priority.INTERACTIVE), 1)

    assert somebody_waits()
    assert [job.pk for job in claim_jobs(limit=5, people_only=True)[1]] == [photo]


def test_jobs_whose_workers_died_twice_come_alone() -> None:
    batch = BatchFactory(submitted=True)
    jobs = queue(batch, 3)
    for _ in range(2):
        assert sorted(job.pk for job in claim_jobs(limit=5)[1]) == jobs
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))  # the worker dies
        assert sweep_jobs() == 3
    later = queue(batch, 2)

    assert claim_jobs(limit=5, people_only=True)[1] == []
    for job in jobs:
        token, [alone] = claim_jobs(limit=5)
        assert (alone.pk, alone.attempt, alone.state) == (job, 3, Job.State.RUNNING)
        assert finish(token=token, ends=[(alone, "model_error")]) == {job}
    assert sorted(job.pk for job in claim_jobs(limit=5)[1]) == later


def test_jobs_that_come_alone_take_turns_too() -> None:
    """However many one clinic has: each claim is one job, and chance decides whose."""
    backlog, small = queue(BatchFactory(submitted=True), 40), queue(BatchFactory(submitted=True), 1)
    Job.objects.filter(pk__in=[*backlog, *small]).update(attempt=2)

    claimed = [job.pk for _ in range(40) for job in claim_jobs(limit=6)[1]]

    assert len(claimed) == 40
    assert small[0] in claimed


def test_intake_takes_turns_too_and_a_patients_photo_goes_first() -> None:
    backlog = ImageFactory.create_batch(20, case__batch=BatchFactory(), stored=True)
    small = ImageFactory.create_batch(3, case__batch=BatchFactory(), stored=True)
    photo = ImageFactory(case__batch=BatchFactory(priority=Priority.INTERACTIVE), stored=True)

    _, [first, *images] = claim_images(limit=6)

    assert first.pk == photo.pk
    assert len({image.pk for image in images} & {image.pk for image in small}) >= 2
    assert {image.pk for image in images} <= {image.pk for image in (*backlog[:3], *small)}


def test_what_is_checked_once_more_alone_takes_turns_too() -> None:
    """However many one clinic has: each claim is one picture, and chance decides whose."""
    ImageFactory.create_batch(40, case__batch=BatchFactory(), stored=True, attempt=1)
    small = ImageFactory(case__batch=BatchFactory(), stored=True, attempt=1)
    photo = ImageFactory(case__batch=BatchFactory(priority=Priority.INTERACTIVE), stored=True, attempt=1)

    claimed = [image.pk for _ in range(40) for image in claim_images(limit=6)[1]]

    assert (len(claimed), claimed[0]) == (40, photo.pk)
    assert small.pk in claimed
