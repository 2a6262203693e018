"""Any order of uploads, inspections, claims, deaths, answers, cancellations, second runs, newer releases and deletions
keeps the promises of a batch.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
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
from tests.webapp.inference.promises import Everything, assert_promises
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
from webapp.inference.models import Job
from webapp.inference.reruns import rerun_failed, rescore
from webapp.inference.selectors import answer_of
from webapp.inference.services import finish, sweep_jobs
from webapp.notify.models import Message
from webapp.registry.models import ModelRelease
from webapp.registry.services import promote, roll_back


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
        for image in Image.objects.filter(reason__in=["not_a_lesion", "blurred", "in_two_cases"]):
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
    def promises_hold(self) -> None:
        now = Everything()
        assert_promises(now)
        self.what_a_patient_has_read_stays()
        self.what_was_deleted_never_comes_back(now)
        self.a_batch_is_announced_once_and_only_when_it_is_complete(now)

    def what_a_patient_has_read_stays(self) -> None:
        for case in Case.objects.filter(pk__in=self.read).select_related("answer"):
            assert self._answer_of(case) == self.read[case.pk]

    def what_was_deleted_never_comes_back(self, now: Everything) -> None:
        deleted = [image for image in now.images if image.state == Image.State.PURGED]
        assert {image.pk for image in deleted} == self.deleted
        assert all((image.width, image.height, image.lease_token) == (0, 0, None) for image in deleted)
        assert not self.deleted & now.at_the_model
        assert all(bytes(row.heatmap) == b"" for row in now.results if row.image_id in self.deleted)

    def a_batch_is_announced_once_and_only_when_it_is_complete(self, now: Everything) -> None:
        completed = {batch.pk for batch in now.batches if batch.state.startswith("completed")}
        announced = list(Message.objects.filter(kind="batch_completed").values_list("batch_id", flat=True))
        assert len(set(announced)) == len(announced)
        assert completed <= set(announced) <= completed | self.reopened


@pytest.mark.django_db(transaction=True)
def test_batches_keep_their_promises() -> None:
    run_state_machine_as_test(
        BatchMachine,
        settings=hypothesis_settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
