"""A picture in which the model sees no lesion is turned away with words, and a provider may insist on an answer."""

import pytest

from tests.factories import (
    BatchFactory,
    CaseFactory,
    ImageFactory,
    MembershipFactory,
    OrganisationFactory,
    UserFactory,
)
from tests.webapp.inference.scenes import answer_all, outcome
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.intake import override_quality
from webapp.cases.models import NOT_A_LESION, Batch, Case, Image
from webapp.cases.retention import delete_photos
from webapp.cases.review import release_case
from webapp.cases.services import submit_batch
from webapp.errors import Problem
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult, Job, Result
from webapp.inference.reruns import rerun_failed
from webapp.inference.services import finish, sweep_jobs
from webapp.labels.services import next_image
from webapp.notify.models import Message
from webapp.patients.selectors import Stage, cases_of, stage_of
from webapp.registry.models import ModelRelease

pytestmark = pytest.mark.django_db(transaction=True)


def photos_of_a_patient(images: int, **organisation: object) -> Case:
    """A submitted case of that many photos which a patient sent."""
    clinic = OrganisationFactory(**organisation)
    user = UserFactory()
    batch = BatchFactory(organisation=clinic, source=Batch.Source.PATIENT)
    case: Case = CaseFactory(batch=batch, patient__user=user, patient__organisation=clinic)
    ImageFactory.create_batch(images, case=case, ready=True)
    submit_batch(actor=SYSTEM, batch=batch)
    return case


def turn_one_away() -> Image:
    token, [job] = claim_jobs(limit=1)
    assert finish(token=token, ends=[(job, NOT_A_LESION)])
    return Image.objects.get(pk=job.image_id)


def stage(case: Case) -> Stage:
    assert case.patient.user is not None
    return stage_of(cases_of(case.patient.user).get(pk=case.pk))


def kinds(case: Case) -> list[str]:
    return list(Message.objects.filter(case=case).order_by("pk").values_list("kind", flat=True))


def test_it_fails_once_and_for_good_without_a_result(release: ModelRelease) -> None:
    batch = BatchFactory()
    ImageFactory(case=CaseFactory(batch=batch), ready=True)
    submit_batch(actor=SYSTEM, batch=batch)

    image = turn_one_away()

    job = Job.objects.get()
    batch.refresh_from_db()
    assert (job.state, job.reason, job.attempt) == (Job.State.FAILED, "not_a_lesion", 1)
    assert (image.state, image.reason) == (Image.State.REJECTED, "not_a_lesion")
    assert "The model saw no lesion in the picture" in image.advice
    assert (batch.state, batch.failures, batch.remaining) == (Batch.State.COMPLETED_WITH_FAILURES, 1, 0)
    assert not Result.objects.exists()
    assert not CaseResult.objects.exists()
    assert sweep_jobs() == 0
    assert claim_jobs(limit=1)[1] == []


def test_a_late_worker_turns_nothing_away(release: ModelRelease) -> None:
    case = photos_of_a_patient(1)
    token, [job] = claim_jobs(limit=1)
    assert finish(token=token, ends=[(job, outcome(release))])

    assert finish(token=token, ends=[(job, NOT_A_LESION)]) == set()

    image = case.images.get()
    assert (image.state, image.reason, image.quality) == (Image.State.READY, "", [])
    assert CaseResult.objects.get().images == 1


def test_a_patient_is_asked_for_another_photo_and_does_not_wait(release: ModelRelease) -> None:
    case = photos_of_a_patient(1)
    turn_one_away()
    assert stage(case) == Stage.RETAKE
    assert kinds(case) == ["image_unusable"]


def test_a_patient_whose_photo_failed_at_the_model_is_told_once(release: ModelRelease) -> None:
    case = photos_of_a_patient(2)
    turn_one_away()
    assert kinds(case) == []
    for _ in range(2):
        token, [job] = claim_jobs(limit=1)
        assert finish(token=token, ends=[(job, "model_error")])
        assert stage(case) == Stage.FAILED
        assert kinds(case) == ["image_unusable"]
        rerun_failed(actor=SYSTEM, batch=case.batch)


def test_who_deleted_all_photos_is_asked_for_none(release: ModelRelease) -> None:
    case = photos_of_a_patient(2)
    turn_one_away()
    delete_photos(actor=SYSTEM, case=case)
    assert stage(case) == Stage.DELETED
    assert kinds(case) == []


def test_with_one_good_photo_the_case_is_answered_from_it(release: ModelRelease) -> None:
    case = photos_of_a_patient(3)
    turn_one_away()
    answer_all(release)
    assert CaseResult.objects.get(case=case).images == 2
    assert stage(case) == Stage.WITH_CLINIC
    assert kinds(case) == []


def test_a_provider_who_insists_gets_an_answer(release: ModelRelease) -> None:
    case = photos_of_a_patient(1)
    image = turn_one_away()

    override_quality(actor=SYSTEM, image=image)
    assert stage(case) == Stage.CHECKING
    token, [job] = claim_jobs(limit=1)
    assert job.image.was_unrecognised
    assert finish(token=token, ends=[(job, outcome(release))])

    batch = Batch.objects.get()
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED, 0)
    assert CaseResult.objects.get(case=case).images == 1
    with pytest.raises(Problem, match="quality check"):
        override_quality(actor=SYSTEM, image=image)


def test_an_answer_that_was_insisted_on_waits_for_a_clinician(release: ModelRelease) -> None:
    case = photos_of_a_patient(1, release_policy=Organisation.ReleasePolicy.AUTOMATIC)
    override_quality(actor=SYSTEM, image=turn_one_away())
    answer_all(release)

    assert stage(case) == Stage.WITH_CLINIC
    release_case(actor=Actor(user=UserFactory()), case=case)
    assert stage(case) == Stage.READY
    assert kinds(case) == ["image_unusable", "result_ready"]


def test_a_clinic_that_releases_by_itself_releases_what_the_good_photos_say(release: ModelRelease) -> None:
    case = photos_of_a_patient(2, release_policy=Organisation.ReleasePolicy.AUTOMATIC)
    turn_one_away()
    answer_all(release)
    assert stage(case) == Stage.READY


def test_nobody_is_asked_to_label_it(release: ModelRelease) -> None:
    case = photos_of_a_patient(1)
    annotator = MembershipFactory(organisation=case.organisation, role="annotator").user
    turn_one_away()
    assert next_image(actor=Actor(user=annotator), annotator=annotator) is None
