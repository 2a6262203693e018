"""What always holds of batches, their cases, images, jobs and answers."""

import uuid

from django.conf import settings

from webapp.cases.models import Batch, Case, Image
from webapp.inference.models import NEWEST, CaseResult, Job, Result
from webapp.inference.selectors import progress

LIVE_IMAGES = [Image.State.AWAITING_UPLOAD, Image.State.STORED]
LIVE_JOBS = [Job.State.QUEUED, Job.State.RUNNING]


class Everything:
    """All rows as they are at one moment: promises that each ask for theirs take four times as long."""

    def __init__(self) -> None:
        self.batches = list(Batch.objects.all())
        self.cases = list(Case.objects.select_related("answer"))
        self.images = list(Image.objects.all())
        self.jobs = list(Job.objects.all())
        self.results = list(Result.objects.all())
        self.newest_first = list(CaseResult.objects.order_by(*NEWEST))
        self.answered = {row.image_id for row in self.results}
        self.at_the_model = {job.image_id for job in self.jobs if job.state in LIVE_JOBS}

    def images_of(self, of: Batch | Case) -> list[Image]:
        return [image for image in self.images if of.pk in (image.batch_id, image.case_id)]

    def answered_of(self, of: Batch | Case) -> set[uuid.UUID]:
        return {image.pk for image in self.images_of(of)} & self.answered

    def live_jobs_of(self, batch: Batch) -> list[Job]:
        return [job for job in self.jobs if job.batch_id == batch.pk and job.state in LIVE_JOBS]


def assert_promises(now: Everything) -> None:
    a_case_says_what_its_newest_answer_says_until_it_is_read(now)
    a_case_is_combined_from_its_images(now)
    every_success_has_one_result_of_each_release(now)
    what_is_not_a_lesion_has_no_result_unless_a_provider_insists(now)
    assert all(job.attempt <= settings.MAX_ATTEMPTS for job in now.jobs)
    for batch in now.batches:
        if batch.state == Batch.State.SUBMITTED:
            remaining_is_what_has_not_ended(now, batch)
        if batch.state.startswith("completed"):
            a_completed_batch_left_nothing_behind(now, batch)
        if batch.state == Batch.State.CANCELLED:
            a_cancelled_batch_is_finished_and_shows_its_answers(now, batch)
        if batch.state != Batch.State.OPEN:
            what_is_done_has_a_result_or_was_a_failure(now, batch)


def a_case_says_what_its_newest_answer_says_until_it_is_read(now: Everything) -> None:
    for case in now.cases:
        if case.released_at is None:
            newest = next((row for row in now.newest_first if row.case_id == case.pk), None)
            assert case.answer == newest
            assert case.advice == (newest.advice if newest else "")


def a_case_is_combined_from_its_images(now: Everything) -> None:
    for case in now.cases:
        if case.answer is not None:
            assert case.answer.images == len(now.answered_of(case))


def every_success_has_one_result_of_each_release(now: Everything) -> None:
    succeeded = [job for job in now.jobs if job.state == Job.State.SUCCEEDED]
    assert {job.image_id for job in succeeded} <= now.answered
    assert {row.job_id for row in now.results} <= {job.pk for job in succeeded}
    assert len({(row.image_id, row.release_id) for row in now.results}) == len(now.results)


def what_is_not_a_lesion_has_no_result_unless_a_provider_insists(now: Everything) -> None:
    turned_away = {image.pk for image in now.images if image.state == Image.State.REJECTED}
    assert not turned_away & now.answered
    assert not turned_away & now.at_the_model


def remaining_is_what_has_not_ended(now: Everything, batch: Batch) -> None:
    live = [image for image in now.images_of(batch) if image.state in LIVE_IMAGES]
    assert batch.remaining == len(live) + len(now.live_jobs_of(batch))


def a_completed_batch_left_nothing_behind(now: Everything, batch: Batch) -> None:
    images = now.images_of(batch)
    assert not [image for image in images if image.state in LIVE_IMAGES]
    assert not now.live_jobs_of(batch)
    assert len(now.answered_of(batch)) + batch.failures == len(images)
    assert (batch.failures == 0) == (batch.state == Batch.State.COMPLETED)


def a_cancelled_batch_is_finished_and_shows_its_answers(now: Everything, batch: Batch) -> None:
    state = progress(batch)
    assert (state.remaining, state.seconds_left) == (0, None)
    assert state.done + state.cancelled == state.total
    for case in now.cases:
        if case.batch_id == batch.pk and not {image.pk for image in now.images_of(case)} & now.at_the_model:
            assert case.answer is not None or not now.answered_of(case)


def what_is_done_has_a_result_or_was_a_failure(now: Everything, batch: Batch) -> None:
    answered = now.answered_of(batch)
    if batch.state == Batch.State.SUBMITTED:
        answered -= now.at_the_model
    assert progress(batch).done == batch.failures + len(answered)
