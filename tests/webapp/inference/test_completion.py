"""What follows when images end: one result each, the case combined, the batch counted down, people told once."""

import uuid
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    ImageFactory,
    OrganisationFactory,
)
from tests.webapp.elsewhere import at_once
from tests.webapp.inference.scenes import answer_all, outcome, submitted_batch
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.intake import InspectionResult, claim_images, finish_intake, override_quality, sweep_images
from webapp.cases.models import Batch, Case, Image
from webapp.cases.services import cancel_batch, submit_batch
from webapp.errors import Problem
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult, Job, Result
from webapp.inference.services import finish, sweep_jobs
from webapp.notify.models import Message
from webapp.registry.models import ModelRelease

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_batch_runs_to_completion(release: ModelRelease) -> None:
    batch = submitted_batch([1, 2, 1])
    assert (batch.state, batch.remaining) == (Batch.State.SUBMITTED, 4)

    answer_all(release)

    batch.refresh_from_db()
    assert (batch.state, batch.remaining, batch.failures) == (Batch.State.COMPLETED, 0, 0)
    assert Result.objects.count() == 4
    assert sorted(CaseResult.objects.values_list("images", flat=True)) == [1, 1, 2]
    assert Message.objects.filter(batch=batch, kind=Message.Kind.BATCH_COMPLETED).count() == 1


def test_a_case_is_the_mean_of_its_images(release: ModelRelease) -> None:
    batch = submitted_batch([2])
    token, jobs = claim_jobs(limit=2)
    finish(token=token, ends=[(jobs[0], outcome(release, 0.9))])
    assert not CaseResult.objects.exists()
    finish(token=token, ends=[(jobs[1], outcome(release, 0.3))])

    combined = CaseResult.objects.get(case__batch=batch)
    first, second = Result.objects.order_by("pk")
    assert combined.malignant == pytest.approx((first.malignant + second.malignant) / 2)
    assert combined.uncertainty is not None
    assert first.uncertainty is not None
    assert combined.uncertainty > first.uncertainty  # the images disagree
    assert sum(combined.probabilities.values()) == pytest.approx(1)


def test_two_workers_that_end_a_case_at_the_same_moment_combine_it_once(release: ModelRelease) -> None:
    for _ in range(10):
        batch = submitted_batch([2])
        token, jobs = claim_jobs(limit=2)

        def end(job: Job, token: uuid.UUID = token) -> bool:
            return bool(finish(token=token, ends=[(job, outcome(release))]))

        assert at_once(end, jobs) == [True, True]
        assert CaseResult.objects.get(case__batch=batch).images == 2
        batch.refresh_from_db()
        assert batch.state == Batch.State.COMPLETED


def test_a_late_worker_changes_nothing(release: ModelRelease) -> None:
    batch = submitted_batch([1])
    late_token, [late] = claim_jobs(limit=1)
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep_jobs() == 1
    token, [job] = claim_jobs(limit=1)

    assert finish(token=late_token, ends=[(late, outcome(release))]) == set()
    assert finish(token=late_token, ends=[(late, "late")]) == set()
    assert finish(token=token, ends=[(job, outcome(release))]) == {job.pk}
    assert finish(token=token, ends=[(job, outcome(release))]) == set()

    assert Result.objects.count() == 1
    batch.refresh_from_db()
    assert (batch.state, batch.remaining) == (Batch.State.COMPLETED, 0)


def test_a_job_whose_workers_keep_dying_fails_alone(release: ModelRelease) -> None:
    batch = submitted_batch([1, 1])
    poisonous, _ = Job.objects.order_by("pk")
    for _ in range(settings.MAX_ATTEMPTS):
        token, jobs = claim_jobs(limit=2)
        for job in jobs:
            if job.pk != poisonous.pk:
                finish(token=token, ends=[(job, outcome(release))])
        Job.objects.filter(state=Job.State.RUNNING).update(lease_until=timezone.now() - timedelta(seconds=1))
        sweep_jobs()

    poisonous.refresh_from_db()
    batch.refresh_from_db()
    assert (poisonous.state, poisonous.reason) == (Job.State.FAILED, "attempts_spent")
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED_WITH_FAILURES, 1)


def test_a_refused_image_leaves_the_rest_of_its_case_running(release: ModelRelease) -> None:
    batch = BatchFactory()
    case = CaseFactory(batch=batch)
    ImageFactory(case=case, ready=True)
    ImageFactory(case=case, stored=True)
    submit_batch(actor=SYSTEM, batch=batch)
    answer_all(release)
    assert not CaseResult.objects.exists()

    token, [image] = claim_images(limit=5)
    assert finish_intake(token=token, inspected=[(image, InspectionResult(code="blurred", advice="Hold still."))])

    batch.refresh_from_db()
    assert CaseResult.objects.get(case=case).images == 1
    assert (batch.state, batch.failures, batch.remaining) == (Batch.State.COMPLETED_WITH_FAILURES, 1, 0)


def test_an_image_that_becomes_ready_after_submission_is_queued() -> None:
    batch = BatchFactory()
    ImageFactory(case=CaseFactory(batch=batch), stored=True)
    submit_batch(actor=SYSTEM, batch=batch)

    token, [image] = claim_images(limit=1)
    assert finish_intake(token=token, inspected=[(image, InspectionResult("a" * 64, 600, 450))])
    assert finish_intake(token=token, inspected=[(image, InspectionResult("a" * 64, 600, 450))]) == []

    assert Job.objects.get().image == image


def test_the_same_bytes_twice_in_a_batch_are_reported() -> None:
    batch = BatchFactory()
    ImageFactory.create_batch(2, case=CaseFactory(batch=batch), stored=True)

    token, images = claim_images(limit=2)
    for image in images:
        assert finish_intake(token=token, inspected=[(image, InspectionResult("a" * 64, 600, 450))])

    assert sorted(Image.objects.values_list("state", "reason")) == [("ready", ""), ("rejected", "duplicate")]


def test_an_inspection_that_keeps_dying_is_refused() -> None:
    ImageFactory(stored=True)
    for _ in range(settings.MAX_ATTEMPTS):
        assert len(claim_images(limit=1)[1]) == 1
        Image.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert sweep_images() == 1

    image = Image.objects.get()
    assert (image.state, image.reason) == (Image.State.REJECTED, "inspection_failed")


def test_a_batch_of_refused_images_completes_at_once() -> None:
    batch = BatchFactory()
    ImageFactory(case=CaseFactory(batch=batch), stored=True)
    token, [image] = claim_images(limit=1)
    finish_intake(token=token, inspected=[(image, InspectionResult(code="corrupt", advice="Send it again."))])

    ended = submit_batch(actor=SYSTEM, batch=batch)

    assert (ended.state, ended.failures) == (Batch.State.COMPLETED_WITH_FAILURES, 1)


def test_overriding_the_quality_check_reopens_the_batch(release: ModelRelease) -> None:
    batch = BatchFactory()
    ImageFactory(case=CaseFactory(batch=batch), stored=True)
    token, [image] = claim_images(limit=1)
    flag = {"code": "blurred", "advice": "Hold still.", "measure": 3.0}
    finish_intake(
        token=token, inspected=[(image, InspectionResult("b" * 64, 600, 450, [flag], "blurred", "Hold still."))]
    )
    submit_batch(actor=SYSTEM, batch=batch)

    override_quality(actor=SYSTEM, image=image)
    answer_all(release)

    batch.refresh_from_db()
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED, 0)
    with pytest.raises(Problem, match="quality check"):
        override_quality(actor=SYSTEM, image=image)


def test_a_file_that_is_no_image_cannot_be_overridden() -> None:
    ImageFactory(stored=True)
    token, [image] = claim_images(limit=1)
    finish_intake(token=token, inspected=[(image, InspectionResult(code="corrupt", advice="Send it again."))])

    with pytest.raises(Problem):
        override_quality(actor=SYSTEM, image=image)


def test_missing_uploads_stop_a_submission_until_they_are_given_up() -> None:
    batch = BatchFactory()
    case = CaseFactory(batch=batch)
    missing = ImageFactory(case=case)
    ImageFactory(case=case, ready=True)

    with pytest.raises(Problem) as problem:
        submit_batch(actor=SYSTEM, batch=batch)
    assert problem.value.details["image_ids"] == [str(missing.pk)]

    submitted = submit_batch(actor=SYSTEM, batch=batch, allow_missing=True)
    missing.refresh_from_db()
    assert (missing.state, submitted.failures, submitted.remaining) == (Image.State.EXPIRED, 1, 1)


def test_cancelling_drops_what_waits_and_ignores_what_comes_late(release: ModelRelease) -> None:
    batch = submitted_batch([1, 1])
    token, [running] = claim_jobs(limit=1)

    cancel_batch(actor=SYSTEM, batch=batch)
    assert finish(token=token, ends=[(running, outcome(release))])

    batch.refresh_from_db()
    assert batch.state == Batch.State.CANCELLED
    assert sorted(Job.objects.values_list("state", flat=True)) == ["cancelled", "succeeded"]
    assert not Message.objects.exists()


def test_results_are_released_by_themselves_where_the_organisation_chose_that(release: ModelRelease) -> None:
    clinic = OrganisationFactory(release_policy=Organisation.ReleasePolicy.AUTOMATIC)
    submitted_batch([1], organisation=clinic)
    submitted_batch([1])

    answer_all(release)

    assert list(Case.objects.filter(released_at__isnull=False).values_list("organisation", flat=True)) == [clinic.pk]
    assert Message.objects.filter(kind=Message.Kind.RESULT_READY).count() == 1
