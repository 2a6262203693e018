"""Which answer holds for a case, whatever was promoted or rolled back meanwhile; and that it is final once released."""

from importlib import import_module

import pytest
from django.db import connection

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    OrganisationFactory,
    ReleaseFactory,
    UserFactory,
)
from tests.webapp.inference.scenes import outcome, submitted_batch
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.intake import override_quality
from webapp.cases.models import NO_ANSWER, Case, Image
from webapp.cases.review import release_case
from webapp.errors import Problem
from webapp.inference.answers import set_current_answers
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult
from webapp.inference.selectors import progress, with_answers
from webapp.inference.services import finish
from webapp.registry.models import ModelRelease
from webapp.reports import exports

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def older() -> ModelRelease:
    release: ModelRelease = ReleaseFactory(active=True)
    return release


@pytest.fixture
def newer(older: ModelRelease) -> ModelRelease:
    release: ModelRelease = ReleaseFactory()
    return release


def blurred(case: Case) -> Image:
    """One more image of the case, which the quality check has refused."""
    image: Image = ImageFactory(case=case, ready=True)
    flags = [{"code": "blurred", "advice": "Hold still.", "measure": 3.0}]
    Image.objects.filter(pk=image.pk).update(state=Image.State.REJECTED, reason="blurred", quality=flags)
    image.refresh_from_db()
    return image


def answer_one(release: ModelRelease, malignant: float) -> None:
    token, [job] = claim_jobs(limit=1)
    assert finish(token=token, ends=[(job, outcome(release, malignant))])


def test_a_promotion_between_two_images_of_a_case_leaves_neither_out(older: ModelRelease, newer: ModelRelease) -> None:
    """The suspicious image was answered first: it must not vanish from the case."""
    batch = submitted_batch([2])

    answer_one(older, 0.9)
    answer_one(newer, 0.1)

    combined = CaseResult.objects.get(case__batch=batch)
    assert (combined.images, combined.release) == (2, newer)
    assert combined.probabilities["MEL"] == pytest.approx(0.5)


def test_what_is_answered_after_a_rollback_holds_everywhere(older: ModelRelease, newer: ModelRelease) -> None:
    batch = submitted_batch([1])
    case = batch.cases.get()
    answer_one(newer, 0.1)
    override_quality(actor=SYSTEM, image=blurred(case))
    answer_one(older, 0.9)

    holds = CaseResult.objects.get(release=older)
    assert (CaseResult.objects.count(), holds.images) == (2, 2)
    assert holds.top_class == "MEL"
    case = with_answers(Case.objects.all()).get()
    assert case.answer == holds
    assert (case.advice, case.top_class) == (holds.advice, "MEL")
    assert case.risk == pytest.approx(holds.malignant)
    assert progress(batch).advice[holds.advice] == 1


def test_an_answer_that_was_written_again_is_the_current_one(older: ModelRelease, newer: ModelRelease) -> None:
    batch = submitted_batch([1])
    case = batch.cases.get()
    answer_one(older, 0.1)
    CaseResultFactory(case=case, release=newer)
    override_quality(actor=SYSTEM, image=blurred(case))
    answer_one(older, 0.3)

    case.refresh_from_db()
    assert case.answer is not None
    assert case.answer.release == older


def test_cases_that_were_answered_before_the_columns_were_there_are_filled(older: ModelRelease) -> None:
    case = CaseResultFactory(release=older).case
    newest = CaseResultFactory(case=case)
    waiting = CaseFactory()
    Case.objects.update(**NO_ANSWER)

    with connection.cursor() as cursor:
        cursor.execute(import_module("webapp.cases.migrations.0005_fill_current_answer").NEWEST_ANSWERS)

    case.refresh_from_db()
    waiting.refresh_from_db()
    assert (case.answer, case.urgency, case.risk) == (newest, 0, newest.malignant)
    assert (waiting.answer, waiting.urgency, waiting.advice) == (None, 3, "")


def test_a_result_is_not_released_while_an_image_may_still_change_it(older: ModelRelease) -> None:
    case = submitted_batch([1]).cases.get()
    answer_one(older, 0.1)
    override_quality(actor=SYSTEM, image=blurred(case))

    with pytest.raises(Problem) as problem:
        release_case(actor=SYSTEM, case=case)
    assert problem.value.code == "case_unfinished"

    answer_one(older, 0.9)
    assert release_case(actor=SYSTEM, case=case).released_at is not None


def test_a_result_that_the_patient_has_read_is_not_changed(older: ModelRelease) -> None:
    case = submitted_batch([1]).cases.get()
    answer_one(older, 0.1)
    image = blurred(case)
    release_case(actor=SYSTEM, case=case)

    with pytest.raises(Problem) as problem:
        override_quality(actor=SYSTEM, image=image)
    assert problem.value.code == "case_released"

    assert not set_current_answers(results=[CaseResultFactory(case=case, advice="urgent_referral")])
    case.refresh_from_db()
    assert case.answer is not None
    assert (case.answer.release, case.urgency > 0) == (older, True)


def test_a_release_without_a_clinician_does_not_look_like_a_review(older: ModelRelease) -> None:
    clinic = OrganisationFactory(release_policy=Organisation.ReleasePolicy.AUTOMATIC)
    automatic = submitted_batch([1], organisation=clinic).cases.get()
    answer_one(older, 0.1)
    automatic.refresh_from_db()
    assert automatic.released_at is not None
    assert (automatic.reviewed_by, automatic.reviewed_at) == (None, None)

    clinician = UserFactory()
    read = CaseFactory()
    CaseResultFactory(case=read)
    released = release_case(actor=Actor(user=clinician), case=read)
    assert released.reviewed_by == clinician
    assert released.reviewed_at is not None


def test_an_export_is_of_one_moment_though_a_case_is_answered_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "CHUNK", 1)
    batch = BatchFactory(completed=True)
    first, second = CaseFactory.create_batch(2, batch=batch)
    CaseResultFactory(case=first)
    lines = exports.as_csv(batch)
    next(lines)
    next(lines)

    CaseResultFactory(case=second, release=ReleaseFactory(name="promoted-meanwhile"))

    assert "no_result" in next(lines)
    assert "promoted-meanwhile" in "".join(exports.as_csv(batch))
