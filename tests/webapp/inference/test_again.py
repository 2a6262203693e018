"""Images that go to the model once more: after a failure that may pass, and for a newer release."""

import pytest
from django.utils import timezone

from tests.factories import CaseFactory, ImageFactory, ReleaseFactory
from tests.webapp.inference.scenes import answer_all, outcome, submitted_batch
from webapp.accounts.models import Organisation
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.models import NOT_A_LESION, Batch, Case, Image
from webapp.cases.retention import delete_old_photos
from webapp.cases.review import release_case
from webapp.cases.services import cancel_batch
from webapp.errors import Problem
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult, Job, Result
from webapp.inference.reruns import newer_release, rerun_failed, rescore
from webapp.inference.selectors import image_answer, with_answers
from webapp.inference.services import finish
from webapp.registry.models import ModelRelease
from webapp.registry.services import promote, roll_back

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def old() -> ModelRelease:
    release: ModelRelease = ReleaseFactory(active=True)
    return release


def newer() -> ModelRelease:
    return promote(actor=SYSTEM, release=ReleaseFactory())


def end_all_as(reason: str) -> None:
    token, jobs = claim_jobs(limit=100)
    finish(token=token, ends=[(job, reason) for job in jobs])


def answered_batch(release: ModelRelease, *cases: int, **of: object) -> Batch:
    batch = submitted_batch(list(cases), **of)
    answer_all(release)
    batch.refresh_from_db()
    return batch


def code_of(problem: pytest.ExceptionInfo[Problem]) -> str:
    return problem.value.code


@pytest.mark.parametrize("reason", ["attempts_spent", "image_missing", "model_error"])
def test_what_failed_for_a_reason_that_may_pass_is_answered_when_it_runs_again(old: ModelRelease, reason: str) -> None:
    batch = submitted_batch([1, 2])
    end_all_as(reason)
    batch.refresh_from_db()
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED_WITH_FAILURES, 3)

    again = rerun_failed(actor=SYSTEM, batch=batch)
    assert (again.state, again.remaining, again.failures, again.finished_at) == (Batch.State.SUBMITTED, 3, 0, None)
    with pytest.raises(Problem) as problem:
        rerun_failed(actor=SYSTEM, batch=batch)
    assert code_of(problem) == "nothing_failed"
    assert Job.objects.filter(state=Job.State.QUEUED).count() == 3

    answer_all(old)
    batch.refresh_from_db()
    assert (batch.state, batch.failures, batch.remaining) == (Batch.State.COMPLETED, 0, 0)
    assert Case.objects.filter(batch=batch, answer__isnull=False).count() == 2
    assert Event.objects.filter(action="batch.rerun", object_id=str(batch.pk)).count() == 1


def test_what_was_refused_or_answered_is_not_run_again(old: ModelRelease) -> None:
    batch = submitted_batch([1, 1, 1])
    token, jobs = claim_jobs(limit=3)
    finish(token=token, ends=list(zip(jobs, [outcome(old), NOT_A_LESION, "model_error"], strict=True)))

    assert rerun_failed(actor=SYSTEM, batch=batch).remaining == 1
    assert Job.objects.get(state=Job.State.QUEUED).image_id == jobs[2].image_id


def test_a_case_that_its_patient_has_read_is_not_run_again(old: ModelRelease) -> None:
    batch = submitted_batch([2])
    token, jobs = claim_jobs(limit=2)
    finish(token=token, ends=list(zip(jobs, [outcome(old), "model_error"], strict=True)))
    release_case(actor=SYSTEM, case=batch.cases.get())

    with pytest.raises(Problem) as problem:
        rerun_failed(actor=SYSTEM, batch=batch)
    assert code_of(problem) == "nothing_failed"


def test_a_newer_release_answers_again_and_both_answers_are_kept(old: ModelRelease) -> None:
    batch = answered_batch(old, 1, 2)
    assert newer_release(batch) is None
    new = newer()
    assert newer_release(batch) == new

    again = rescore(actor=SYSTEM, batch=batch)
    assert (again.state, again.remaining, again.failures) == (Batch.State.SUBMITTED, 3, 0)
    with pytest.raises(Problem) as problem:
        rescore(actor=SYSTEM, batch=batch)
    assert code_of(problem) == "already_scored"

    answer_all(new)
    batch.refresh_from_db()
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED, 0)
    for release in (old, new):
        assert Result.objects.filter(image__batch=batch, release=release).count() == 3
        assert CaseResult.objects.filter(case__batch=batch, release=release).count() == 2
    for case in with_answers(batch.cases.all()):
        assert case.answer is not None
        assert case.answer.release == new
        assert all((answer := image_answer(image)) and answer.release == new for image in case.images.all())
    assert newer_release(batch) is None


def test_after_a_rollback_the_release_that_is_active_again_can_say_what_holds(old: ModelRelease) -> None:
    batch = answered_batch(old, 1, 2)
    bad = newer()
    rescore(actor=SYSTEM, batch=batch)
    token, jobs = claim_jobs(limit=3)
    finish(token=token, ends=[(job, outcome(bad, malignant=0.05)) for job in jobs])

    roll_back(actor=SYSTEM)
    assert newer_release(batch) == old
    assert rescore(actor=SYSTEM, batch=batch).remaining == 3
    answer_all(old)

    for case in with_answers(batch.cases.all()):
        assert case.answer is not None
        assert (case.answer.release, case.risk > 0.5) == (old, True)
        assert all((answer := image_answer(image)) and answer.release == old for image in case.images.all())
    assert newer_release(batch) is None
    assert Result.objects.count() == 6


def test_after_a_rollback_what_a_patient_was_given_meanwhile_stays(old: ModelRelease) -> None:
    batch = answered_batch(old, 1)
    bad = newer()
    rescore(actor=SYSTEM, batch=batch)
    answer_all(bad)
    release_case(actor=SYSTEM, case=batch.cases.get())

    roll_back(actor=SYSTEM)
    assert newer_release(batch) is None
    with pytest.raises(Problem) as problem:
        rescore(actor=SYSTEM, batch=batch)
    assert code_of(problem) == "already_scored"
    held = with_answers(batch.cases.all()).get()
    assert held.answer is not None
    assert held.answer.release == bad


def test_what_is_released_to_a_patient_stays_what_it_was(old: ModelRelease) -> None:
    batch = answered_batch(old, 1)
    case = batch.cases.get()
    release_case(actor=SYSTEM, case=case)
    new = newer()
    rescore(actor=SYSTEM, batch=batch)
    token, [job] = claim_jobs(limit=1)
    finish(token=token, ends=[(job, outcome(new, malignant=0.05))])

    held = with_answers(Case.objects.all()).get()
    assert held.answer is not None
    assert (held.answer.release, held.risk > 0.5) == (old, True)
    image_held = image_answer(held.images.all()[0])
    assert image_held is not None
    assert image_held.release == old
    assert CaseResult.objects.get(release=new).case == case


def test_what_a_worker_answers_that_still_has_the_older_release_is_asked_again(old: ModelRelease) -> None:
    batch = answered_batch(old, 1)
    new = newer()
    rescore(actor=SYSTEM, batch=batch)

    token, [job] = claim_jobs(limit=1)
    assert finish(token=token, ends=[(job, outcome(old))]) == {job.pk}

    batch.refresh_from_db()
    assert (batch.state, batch.remaining, Result.objects.count()) == (Batch.State.SUBMITTED, 1, 1)
    assert list(Job.objects.order_by("pk").values_list("state", "attempt")) == [("succeeded", 1), ("queued", 0)]
    answer_all(new)
    batch.refresh_from_db()
    assert (batch.state, set(Result.objects.values_list("release", flat=True))) == ("completed", {old.pk, new.pk})


@pytest.mark.parametrize("reason", ["model_error", NOT_A_LESION])
def test_an_image_that_a_newer_release_cannot_answer_keeps_its_answer(old: ModelRelease, reason: str) -> None:
    batch = answered_batch(old, 1)
    newer()
    rescore(actor=SYSTEM, batch=batch)
    end_all_as(reason)

    batch.refresh_from_db()
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED, 0)
    assert Image.objects.get().state == Image.State.READY
    case = batch.cases.get()
    assert case.answer is not None
    assert case.answer.release == old


@pytest.mark.parametrize("source", Batch.Source.values)
def test_a_rescore_that_is_cancelled_leaves_a_complete_batch_and_what_was_read(old: ModelRelease, source: str) -> None:
    batch = answered_batch(old, 1, 1, 2, source=source)
    read = dict(CaseResult.objects.values_list("case", "created_at"))
    new = newer()
    rescore(actor=SYSTEM, batch=batch)
    token, [job] = claim_jobs(limit=1)

    stopped = cancel_batch(actor=SYSTEM, batch=batch)
    assert (stopped.state, stopped.remaining) == (Batch.State.SUBMITTED, 1)  # a worker is at it
    finish(token=token, ends=[(job, outcome(new))])

    batch.refresh_from_db()
    assert (batch.state, batch.failures, batch.remaining) == (Batch.State.COMPLETED, 0, 0)
    assert dict(CaseResult.objects.filter(release=old).values_list("case", "created_at")) == read
    assert CaseResult.objects.get(release=new).case_id == job.image.case_id
    assert Event.objects.filter(action="batch.repeat_stopped", object_id=str(batch.pk)).count() == 1
    assert newer_release(batch) == new
    assert rescore(actor=SYSTEM, batch=batch).remaining == 3


@pytest.mark.parametrize("reason", ["model_error", NOT_A_LESION])
def test_a_patients_answer_that_a_newer_release_does_not_change_is_not_written_anew(
    old: ModelRelease, reason: str
) -> None:
    """Who reads it could not release it; and where the clinic has chosen so since, no clinician would."""
    batch = answered_batch(old, 1, source=Batch.Source.PATIENT)
    read = CaseResult.objects.get().created_at
    Organisation.objects.update(release_policy=Organisation.ReleasePolicy.AUTOMATIC)
    newer()
    rescore(actor=SYSTEM, batch=batch)
    end_all_as(reason)

    assert CaseResult.objects.get().created_at == read
    assert Case.objects.get().released_at is None


def test_a_release_that_says_again_what_is_the_newest_answer_writes_nothing(old: ModelRelease) -> None:
    batch = answered_batch(old, 1)
    read = Result.objects.get().created_at, CaseResult.objects.get().created_at
    newer()
    rescore(actor=SYSTEM, batch=batch)
    roll_back(actor=SYSTEM)
    answer_all(old)

    batch.refresh_from_db()
    assert batch.state == Batch.State.COMPLETED
    assert (Result.objects.get().created_at, CaseResult.objects.get().created_at) == read


def test_a_second_run_that_is_cancelled_can_be_asked_for_again(old: ModelRelease) -> None:
    batch = submitted_batch([1, 1])
    end_all_as("model_error")
    rerun_failed(actor=SYSTEM, batch=batch)

    stopped = cancel_batch(actor=SYSTEM, batch=batch)

    assert (stopped.state, stopped.failures) == (Batch.State.COMPLETED_WITH_FAILURES, 2)
    assert rerun_failed(actor=SYSTEM, batch=batch).remaining == 2
    answer_all(old)
    batch.refresh_from_db()
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED, 0)


def test_no_release_is_offered_where_the_answered_photo_is_gone(old: ModelRelease) -> None:
    batch = submitted_batch([2])
    token, jobs = claim_jobs(limit=2)
    finish(token=token, ends=list(zip(jobs, [outcome(old), "model_error"], strict=True)))
    Image.objects.filter(pk=jobs[0].image_id).update(ended_at=timezone.now().replace(year=2020))
    Organisation.objects.update(retention_days=2)
    assert delete_old_photos() == 1
    newer()
    assert newer_release(batch) is None


def test_there_is_nothing_to_do_for_a_batch_that_was_not_sent_or_is_stopped(old: ModelRelease) -> None:
    case = CaseFactory()
    ImageFactory(case=case, ready=True)
    stopped = cancel_batch(actor=SYSTEM, batch=submitted_batch([1]))
    for service in (rerun_failed, rescore):
        with pytest.raises(Problem) as problem:
            service(actor=SYSTEM, batch=case.batch)
        assert code_of(problem) == "batch_open"
        with pytest.raises(Problem) as problem:
            service(actor=SYSTEM, batch=stopped)
        assert code_of(problem) == "batch_cancelled"


def test_without_an_active_release_nothing_is_scored_again(old: ModelRelease) -> None:
    batch = answered_batch(old, 1)
    ModelRelease.objects.update(state=ModelRelease.State.RETIRED, decided_at=timezone.now())

    with pytest.raises(Problem) as problem:
        rescore(actor=SYSTEM, batch=batch)
    assert code_of(problem) == "no_active_release"
