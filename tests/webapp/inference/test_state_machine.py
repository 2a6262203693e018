"""Any order of uploads, inspections, claims, deaths, answers, cancellations, second runs, newer releases and deletions
keeps the promises of a batch.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models import Count
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.factories import BatchFactory, CaseFactory, ImageFactory, ReleaseFactory
from tests.tables import empty_tables
from tests.webapp.inference.scenes import outcome
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.intake import InspectionResult, claim_images, finish_intake, override_quality, sweep_images
from webapp.cases.models import NOT_A_LESION, Batch, Case, Image
from webapp.cases.retention import delete_old_photos, delete_photos
from webapp.cases.review import release_case
from webapp.cases.services import cancel_batch, submit_batch
from webapp.cases.uploads import await_again, mark_stored
from webapp.errors import Problem
from webapp.inference.claim import claim_jobs
from webapp.inference.models import NEWEST, Job, Result
from webapp.inference.reruns import rerun_failed, rescore
from webapp.inference.selectors import answer_of, progress
from webapp.inference.services import finish, sweep_jobs
from webapp.notify.models import Message
from webapp.registry.models import ModelRelease
from webapp.registry.services import promote, roll_back

LIVE_IMAGES = [Image.State.AWAITING_UPLOAD, Image.State.STORED]
LIVE_JOBS = [Job.State.QUEUED, Job.State.RUNNING]


class BatchMachine(RuleBasedStateMachine):
    """Two batches, worked on by any number of workers that may die or come late."""

    inspections = Bundle("inspections")
    runs = Bundle("runs")

    @initialize()
    def start(self) -> None:
        empty_tables()
        self.releases: list[ModelRelease] = [ReleaseFactory(active=True)]
        self.reopened: set[uuid.UUID] = set()
        self.read: dict[uuid.UUID, tuple[object, ...]] = {}
        self.deleted: set[uuid.UUID] = set()
        self.batches = [BatchFactory(), BatchFactory()]
        for batch in self.batches:
            for count in (1, 2):
                ImageFactory.create_batch(count, case=CaseFactory(batch=batch), stored=True)

    @rule(which=st.integers(0, 1))
    def submit(self, which: int) -> None:
        with suppress(Problem):  # a cancelled batch
            submit_batch(actor=SYSTEM, batch=self.batches[which])

    @rule(which=st.integers(0, 1))
    def cancel(self, which: int) -> None:
        with suppress(Problem):  # a finished batch
            cancel_batch(actor=SYSTEM, batch=self.batches[which])

    @rule(target=inspections, limit=st.integers(1, 4))
    def start_inspecting(self, limit: int) -> tuple[uuid.UUID, list[Image]]:
        return claim_images(limit=limit)

    @rule(inspection=consumes(inspections), end=st.sampled_from(["fit", "the same bytes", "blurred", "corrupt"]))
    def end_inspection(self, inspection: tuple[uuid.UUID, list[Image]], end: str) -> None:
        token, images = inspection
        for image in images:
            digest = "a" * 64 if end == "the same bytes" else image.pk.hex * 2
            if end == "blurred":
                flags = [{"code": "blurred", "advice": "Hold still."}]
                finish_intake(
                    token=token,
                    inspected=[(image, InspectionResult(digest, 600, 450, flags, "blurred", "Hold still."))],
                )
            elif end != "corrupt":
                finish_intake(token=token, inspected=[(image, InspectionResult(digest, 600, 450))])
            else:
                finish_intake(
                    token=token, inspected=[(image, InspectionResult(code="corrupt", advice="Send it again."))]
                )

    @rule()
    def another_file_comes_for_each_that_was_refused(self) -> None:
        for image in Image.objects.filter(state=Image.State.REJECTED):
            with suppress(Problem):  # the batch is not open
                await_again(actor=SYSTEM, image=image)
                mark_stored(batch_id=image.batch_id, sizes={image: 1})

    @rule(target=runs, limit=st.integers(1, 4))
    def start_running(self, limit: int) -> tuple[uuid.UUID, list[Job]]:
        return claim_jobs(limit=limit)

    @rule(run=runs, end=st.sampled_from(["answered", "answered late", "broken", "not_a_lesion"]))
    def end_run(self, run: tuple[uuid.UUID, list[Job]], end: str) -> None:
        """Not consumed: a worker may come twice, or after it was given up."""
        token, jobs = run
        for job in jobs:
            if end.startswith("answered"):  # late: by a worker that has not noticed a promotion
                release = self.releases[0 if end == "answered late" else -1]
                finish(token=token, ends=[(job, outcome(release))])
            elif end == "broken":
                finish(token=token, ends=[(job, "model_error")])
            else:
                finish(token=token, ends=[(job, NOT_A_LESION)])

    @rule()
    def a_provider_insists(self) -> None:
        for image in Image.objects.filter(reason__in=["not_a_lesion", "blurred"]):
            with suppress(Problem):  # the same bytes are there once more
                override_quality(actor=SYSTEM, image=image)
                self.reopened.add(image.batch_id)

    @rule(which=st.integers(0, 1))
    def run_what_failed_again(self, which: int) -> None:
        self._again(rerun_failed, which)

    @rule(which=st.integers(0, 1))
    def ask_the_active_release(self, which: int) -> None:
        self._again(rescore, which)

    @rule()
    def promote_a_release(self) -> None:
        self.releases.append(promote(actor=SYSTEM, release=ReleaseFactory()))

    @rule()
    def roll_a_release_back(self) -> None:
        with suppress(Problem):  # none was active before
            self.releases.append(roll_back(actor=SYSTEM))

    @rule(which=st.integers(0, 1))
    def release_to_the_patients(self, which: int) -> None:
        for case in self.batches[which].cases.filter(released_at=None):
            with suppress(Problem):  # no answer yet, or one that may still change
                release_case(actor=SYSTEM, case=case)
                case.refresh_from_db()
                self.read[case.pk] = self._answer_of(case)

    @rule(which=st.integers(0, 1), place=st.integers(0, 1))
    def delete_the_photos_of_a_case(self, which: int, place: int) -> None:
        case = self.batches[which].cases.order_by("pk")[place]
        delete_photos(actor=SYSTEM, case=case)
        self.deleted.update(case.images.values_list("pk", flat=True))

    @rule(days=st.sampled_from([1, 3]))
    def a_clinics_time_is_over(self, days: int) -> None:
        """Some days pass for one of the images that have ended, and its clinic keeps photos for two."""
        ended = Image.objects.filter(state__in=["ready", "rejected"]).order_by("pk").first()
        if ended is not None:
            Image.objects.filter(pk=ended.pk).update(ended_at=timezone.now() - timedelta(days=days))
            Organisation.objects.filter(pk=ended.organisation_id).update(retention_days=2)
            being_answered = ended.batch.state == Batch.State.SUBMITTED
            assert delete_old_photos() == (days > 2 and not being_answered)
            self.deleted.update(Image.objects.filter(state=Image.State.PURGED).values_list("pk", flat=True))
            Organisation.objects.update(retention_days=None)
            Image.objects.filter(pk=ended.pk).update(ended_at=timezone.now())

    @rule()
    def workers_die(self) -> None:
        past = timezone.now() - timedelta(seconds=1)
        Job.objects.filter(state=Job.State.RUNNING).update(lease_until=past)
        Image.objects.filter(lease_token__isnull=False).update(lease_until=past)
        sweep_jobs()
        sweep_images()

    def _again(self, service: Callable[..., Batch], which: int) -> None:
        with suppress(Problem):  # a batch that is open or cancelled, or nothing to do
            self.reopened.add(service(actor=SYSTEM, batch=self.batches[which]).pk)

    def _answer_of(self, case: Case) -> tuple[object, ...]:
        held = case.answer
        assert held is not None
        of_images = [(image.pk, answer_of(image)) for image in case.images.order_by("pk")]
        return held.pk, held.created_at, held.images, case.advice, case.risk, of_images

    @invariant()
    def what_a_patient_has_read_stays(self) -> None:
        for case in Case.objects.filter(pk__in=self.read):
            assert self._answer_of(case) == self.read[case.pk]

    @invariant()
    def what_was_deleted_never_comes_back(self) -> None:
        deleted = Image.objects.filter(state=Image.State.PURGED)
        assert set(deleted.values_list("pk", flat=True)) == self.deleted
        assert not deleted.exclude(width=0, height=0, lease_token=None).exists()
        assert not Job.objects.filter(image__in=deleted, state__in=LIVE_JOBS).exists()
        assert not Result.objects.filter(image__in=deleted).exclude(heatmap=b"").exists()

    @invariant()
    def a_case_says_what_its_newest_answer_says_until_it_is_read(self) -> None:
        for case in Case.objects.filter(released_at=None):
            newest = case.results.order_by(*NEWEST).first()
            assert case.answer == newest
            assert case.advice == (newest.advice if newest else "")

    @invariant()
    def remaining_is_what_has_not_ended(self) -> None:
        for batch in Batch.objects.filter(state=Batch.State.SUBMITTED):
            live = batch.images.filter(state__in=LIVE_IMAGES).count()
            assert batch.remaining == live + batch.jobs.filter(state__in=LIVE_JOBS).count()

    @invariant()
    def a_completed_batch_left_nothing_behind(self) -> None:
        for batch in Batch.objects.filter(state__startswith="completed"):
            assert not batch.images.filter(state__in=LIVE_IMAGES).exists()
            assert not batch.jobs.filter(state__in=LIVE_JOBS).exists()
            answered = batch.images.filter(results__isnull=False).distinct().count()
            assert answered + batch.failures == batch.images.count()
            assert (batch.failures == 0) == (batch.state == Batch.State.COMPLETED)

    @invariant()
    def every_success_has_one_result_of_each_release(self) -> None:
        assert not Job.objects.filter(state=Job.State.SUCCEEDED, image__results=None).exists()
        assert not Result.objects.exclude(job__state=Job.State.SUCCEEDED).exists()
        assert not Result.objects.values("image", "release").annotate(n=Count("pk")).filter(n__gt=1).exists()

    @invariant()
    def a_case_is_combined_from_its_images(self) -> None:
        for case in Case.objects.filter(answer__isnull=False):
            assert case.answer is not None
            assert case.answer.images == case.images.filter(results__isnull=False).distinct().count()

    @invariant()
    def a_cancelled_batch_is_finished_and_shows_its_answers(self) -> None:
        for batch in Batch.objects.filter(state=Batch.State.CANCELLED):
            state = progress(batch)
            assert (state.remaining, state.seconds_left) == (0, None)
            assert state.done + state.cancelled == state.total
            ended = batch.cases.exclude(images__jobs__state__in=LIVE_JOBS)
            assert not ended.filter(images__results__isnull=False, answer=None).exists()

    @invariant()
    def what_is_done_has_a_result_or_was_a_failure(self) -> None:
        for batch in Batch.objects.exclude(state=Batch.State.OPEN):
            answered = batch.images.filter(results__isnull=False)
            if batch.state == Batch.State.SUBMITTED:
                answered = answered.exclude(jobs__state__in=LIVE_JOBS)
            assert progress(batch).done == batch.failures + answered.distinct().count()

    @invariant()
    def attempts_are_bounded(self) -> None:
        assert not Job.objects.filter(attempt__gt=settings.MAX_ATTEMPTS).exists()

    @invariant()
    def a_batch_is_announced_once_and_only_when_it_is_complete(self) -> None:
        completed = set(Batch.objects.filter(state__startswith="completed").values_list("pk", flat=True))
        announced = list(Message.objects.filter(kind="batch_completed").values_list("batch_id", flat=True))
        assert len(set(announced)) == len(announced)
        assert completed <= set(announced) <= completed | self.reopened

    @invariant()
    def what_is_not_a_lesion_has_no_result_unless_a_provider_insists(self) -> None:
        turned_away = Image.objects.filter(state=Image.State.REJECTED)
        assert not Result.objects.filter(image__in=turned_away).exists()
        assert not Job.objects.filter(image__in=turned_away, state__in=LIVE_JOBS).exists()


@pytest.mark.django_db(transaction=True)
def test_batches_keep_their_promises() -> None:
    run_state_machine_as_test(
        BatchMachine,
        settings=hypothesis_settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
