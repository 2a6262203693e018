"""A batch that is cancelled is finished: what was answered is shown, what was not says so, and nobody waits."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from ml.advice import Advice
from tests.factories import BatchFactory, CaseFactory, ImageFactory, OrganisationFactory, ReleaseFactory
from tests.webapp.inference.scenes import answer_all, outcome, submitted_batch
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.intake import InspectionResult, claim_images, finish_intake, override_quality
from webapp.cases.models import NOT_A_LESION, Batch, Case, Image
from webapp.cases.retention import delete_photos
from webapp.cases.services import cancel_batch, submit_batch
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult
from webapp.inference.reruns import newer_release, rerun_failed, rescore
from webapp.inference.selectors import progress
from webapp.inference.services import finish
from webapp.registry.models import ModelRelease
from webapp.registry.services import promote
from webapp.reports.exports import as_json

pytestmark = pytest.mark.django_db(transaction=True)
BLURRED = InspectionResult("b" * 64, 600, 450, [{"code": "blurred", "advice": "Hold still."}], "blurred", "Hold still.")


def test_a_cancelled_batch_shows_what_was_answered_before_and_by_who_was_at_it(release: ModelRelease) -> None:
    batch = submitted_batch([2, 2, 1, 1])
    token, jobs = claim_jobs(limit=3)  # both images of the first case, one of the second
    finish(token=token, ends=[(jobs[0], outcome(release, 0.9)), (jobs[2], outcome(release, 0.9))])

    cancel_batch(actor=SYSTEM, batch=batch)

    batch.refresh_from_db()
    state = progress(batch)
    assert (state.total, state.done, state.remaining, state.cancelled, state.percent) == (6, 2, 0, 4, 33)
    assert state.seconds_left is None
    first, second, *_ = batch.cases.order_by("created_at", "id")
    assert not first.advice, "a worker is still at its other image"
    assert second.answer is not None
    assert second.answer.images == 1

    finish(token=token, ends=[(jobs[1], outcome(release, 0.3))])

    first.refresh_from_db()
    assert first.answer is not None
    assert first.answer.images == 2
    assert (progress(batch).done, progress(batch).cancelled) == (3, 3)
    assert [row["status"] for row in json.loads("".join(as_json(batch)))["results"]] == [
        "answered", "answered", "cancelled", "cancelled",
    ]  # fmt: skip


def test_what_is_still_checked_does_not_keep_the_answer_of_a_cancelled_case_back(release: ModelRelease) -> None:
    batch = BatchFactory()
    case = CaseFactory(batch=batch)
    ImageFactory(case=case, ready=True)
    ImageFactory(case=case, stored=True)
    submit_batch(actor=SYSTEM, batch=batch)
    answer_all(release)
    assert not CaseResult.objects.exists()

    cancel_batch(actor=SYSTEM, batch=batch)

    assert CaseResult.objects.get().images == 1


def test_an_answer_of_a_cancelled_batch_is_released_by_a_person_only(release: ModelRelease) -> None:
    clinic = OrganisationFactory(release_policy=Organisation.ReleasePolicy.AUTOMATIC)
    batch = submitted_batch([1], organisation=clinic)
    token, [job] = claim_jobs(limit=1)
    cancel_batch(actor=SYSTEM, batch=batch)

    finish(token=token, ends=[(job, outcome(release))])

    case = Case.objects.get()
    assert (case.advice, case.released_at) == (Advice.URGENT_REFERRAL, None)


def test_of_a_batch_that_is_cancelled_before_it_was_sent_every_usable_image_is_cancelled() -> None:
    batch = BatchFactory()
    ImageFactory(case__batch=batch)
    ImageFactory(case__batch=batch, ready=True)
    ImageFactory(case__batch=batch, state="rejected", reason="empty", ended_at=timezone.now())

    state = progress(cancel_batch(actor=SYSTEM, batch=batch))

    assert (state.done, state.cancelled, state.remaining) == (1, 2, 0)
    batch.refresh_from_db()
    assert batch.failures == 1


def test_what_is_refused_after_the_cancelling_is_counted_as_any_other(release: ModelRelease) -> None:
    batch = BatchFactory()
    for state in ("ready", "ready", "stored"):
        ImageFactory(case__batch=batch, **{state: True})
    submit_batch(actor=SYSTEM, batch=batch)
    token, jobs = claim_jobs(limit=2)
    checked, [blurred] = claim_images(limit=1)
    cancel_batch(actor=SYSTEM, batch=batch)

    finish(token=token, ends=[(jobs[0], outcome(release)), (jobs[1], NOT_A_LESION)])
    finish_intake(token=checked, inspected=[(blurred, BLURRED)])

    batch.refresh_from_db()
    assert (progress(batch).done, progress(batch).cancelled, batch.failures) == (3, 0, 2)


@pytest.mark.parametrize("sent", [False, True])
def test_a_photo_that_is_deleted_after_the_cancelling_has_no_result(release: ModelRelease, sent: bool) -> None:
    batch = BatchFactory()
    for state in ("ready", "stored"):
        ImageFactory(case__batch=batch, **{state: True})
    if sent:
        submit_batch(actor=SYSTEM, batch=batch)
    cancel_batch(actor=SYSTEM, batch=batch)
    batch.refresh_from_db()
    assert progress(batch).cancelled == 2
    for case in batch.cases.all():
        delete_photos(actor=SYSTEM, case=case)

    batch.refresh_from_db()
    assert (progress(batch).done, progress(batch).cancelled, batch.failures) == (2, 0, 2)


def answered_but_for_a_blurred_one(release: ModelRelease) -> tuple[Batch, Image]:
    """A complete batch of three images, of which one was refused."""
    batch = BatchFactory()
    for state in ("ready", "ready", "stored"):
        ImageFactory(case__batch=batch, **{state: True})
    submit_batch(actor=SYSTEM, batch=batch)
    answer_all(release)
    token, [blurred] = claim_images(limit=1)
    finish_intake(token=token, inspected=[(blurred, BLURRED)])
    batch.refresh_from_db()
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED_WITH_FAILURES, 1)
    return batch, blurred


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=1)], ids=["same clock", "clock ahead"])
def test_a_complete_batch_stays_complete_where_a_provider_insists_on_an_image_and_cancels(
    release: ModelRelease, ahead: timedelta
) -> None:
    batch, blurred = answered_but_for_a_blurred_one(release)
    Batch.objects.update(submitted_at=timezone.now() + ahead)  # by a machine that had another time
    override_quality(actor=SYSTEM, image=blurred)

    stopped = cancel_batch(actor=SYSTEM, batch=batch)

    assert (stopped.state, stopped.failures) == (Batch.State.COMPLETED_WITH_FAILURES, 1)
    assert rerun_failed(actor=SYSTEM, batch=batch).remaining == 1
    answer_all(release)
    batch.refresh_from_db()
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED, 0)


def test_a_rescore_can_be_stopped_though_a_provider_insisted_on_an_image_meanwhile(release: ModelRelease) -> None:
    batch, blurred = answered_but_for_a_blurred_one(release)
    new = promote(actor=SYSTEM, release=ReleaseFactory())
    rescore(actor=SYSTEM, batch=batch)
    override_quality(actor=SYSTEM, image=blurred)

    stopped = cancel_batch(actor=SYSTEM, batch=batch)

    assert (stopped.state, stopped.failures) == (Batch.State.COMPLETED_WITH_FAILURES, 1)
    assert newer_release(batch) == new
    assert rescore(actor=SYSTEM, batch=batch).remaining == 2


def test_a_batch_that_holds_but_what_a_provider_insisted_on_before_it_was_sent_is_cancelled() -> None:
    batch = BatchFactory()
    blurred = ImageFactory(case__batch=batch, stored=True)
    token, _ = claim_images(limit=1)
    finish_intake(token=token, inspected=[(blurred, BLURRED)])
    override_quality(actor=SYSTEM, image=blurred)
    submit_batch(actor=SYSTEM, batch=batch)

    assert cancel_batch(actor=SYSTEM, batch=batch).state == Batch.State.CANCELLED
