"""A clinic is told that a case waits for a clinician again, in time and never in a flood, and nothing of what it is."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    EndpointFactory,
    ImageFactory,
    JobFactory,
    MembershipFactory,
    OrganisationFactory,
    ReleaseFactory,
    ResultFactory,
    UserFactory,
)
from tests.webapp.notify.post import go_out
from webapp.accounts.models import Membership, Organisation
from webapp.accounts.services import remove_user
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.models import Case
from webapp.cases.review import acknowledge_raised, release_case
from webapp.inference.claim import claim_jobs
from webapp.inference.reruns import rescore
from webapp.inference.services import Outcome, finish
from webapp.labels.services import submit_label
from webapp.notify.delivery import UNREACHABLE, claim_message, put_off
from webapp.notify.models import Message
from webapp.operations.selectors import waiting
from webapp.webhooks.models import EventType

pytestmark = pytest.mark.django_db
PROBABILITIES = {"MEL": 0.6, "NV": 0.4, "BCC": 0, "AKIEC": 0, "BKL": 0, "DF": 0, "VASC": 0}


def given(clinic: Organisation, **batch: Any) -> Case:
    """A case whose patient was told to watch the spot."""
    case: Case = CaseFactory(batch=BatchFactory(organisation=clinic, completed=True, **batch))
    answer_of(case)
    CaseResultFactory(case=case, advice="self_monitor", malignant=0.03)
    return release_case(actor=SYSTEM, case=case)


def answer_of(case: Case) -> None:
    job = JobFactory(image=ImageFactory(case=case, ready=True), succeeded=True)
    ResultFactory(job=job, advice="self_monitor", malignant=0.03)


def raise_it(case: Case) -> None:
    CaseResultFactory(case=case, advice="urgent_referral")


def letters(*, kind: str = "case_raised") -> list[Message]:
    return list(Message.objects.filter(kind=kind).order_by("pk"))


def went_out(*, ago: timedelta = timedelta()) -> None:
    then = timezone.now() - ago
    Message.objects.update(state=Message.State.SENT, sent_at=then, send_after=then)


def to_whom() -> set[str]:
    return {letter.recipient for letter in letters()}


def test_a_newer_release_that_calls_for_more_is_told_of_in_the_transaction_that_raises_the_case() -> None:
    sender = MembershipFactory(organisation__name="Skin Clinic")
    case = given(sender.organisation, created_by=sender.user, name="Smith family")
    newer = ReleaseFactory(active=True)
    rescore(actor=SYSTEM, batch=case.batch)
    outcome = Outcome(newer, PROBABILITIES, 0.6, 0.05, "urgent_referral", "test", "0" * 64, b"")
    token, [job] = claim_jobs(limit=1)
    Message.objects.all().delete()
    with transaction.atomic():
        finish(token=token, ends=[(job, outcome)])
        assert letters()
        transaction.set_rollback(True)
    assert not letters()

    finish(token=token, ends=[(job, outcome)])
    case.refresh_from_db()
    assert case.raised_at is not None
    assert to_whom() == {sender.organisation.contact_email, sender.user.email}
    go_out()
    [letter, _] = [one for one in mail.outbox if "waits for a clinician again" in one.subject]
    for body in (str(letter.body), str(letter.alternatives[0].content)):  # type: ignore[attr-defined]
        assert "/review/" in body
        assert "Skin Clinic" in body
        for secret in ("melanoma", "urgent", "refer", "60%", "smith", case.external_id, case.patient.external_id):
            assert secret not in body.lower()
        assert not any(str(pk) in body for pk in (case.pk, case.batch_id, case.patient_id))


def test_what_dermatologists_agree_on_is_told_of_also_where_it_is_graver_than_what_raised_the_case_before() -> None:
    case = given(OrganisationFactory())
    CaseResultFactory(case=case, advice="routine_referral")
    before = case.raised_at
    assert before is not None
    went_out(ago=timedelta(hours=2))
    Message.objects.all().delete()
    for _ in range(2):
        user = MembershipFactory(organisation=case.organisation, role="annotator").user
        image = case.images.get()
        image.assignments.create(annotator=user, expires_at=timezone.now())
        submit_label(actor=Actor(user=user), annotator=user, image=image, dx="MEL", confidence=3)
    case.refresh_from_db()
    assert (case.dissent, case.raised_at) == ("MEL", before)
    assert to_whom() == {case.organisation.contact_email}


def test_many_cases_make_one_letter_an_hour_and_none_goes_untold() -> None:
    clinic = OrganisationFactory()
    batch = BatchFactory(organisation=clinic, completed=True)
    cases = [CaseResultFactory(case__batch=batch, advice="self_monitor").case for _ in range(5)]
    for case in cases:
        release_case(actor=SYSTEM, case=case)
        raise_it(case)
    [letter] = letters()
    went_out()
    first = Message.objects.get(pk=letter.pk)

    raise_it(given(clinic))
    [_, second] = letters()
    assert second.send_after - first.send_after == timedelta(hours=1)
    raise_it(given(clinic))
    assert len(letters()) == 2
    went_out(ago=timedelta(days=1))
    raise_it(given(clinic))
    assert letters()[-1].send_after <= timezone.now()


def test_a_batch_that_was_told_of_before_is_told_of_again() -> None:
    case = given(OrganisationFactory())
    raise_it(case)
    go_out()
    went_out(ago=timedelta(days=100))
    acknowledge_raised(actor=SYSTEM, case=case, raised_at=case.raised_at)

    raise_it(case)
    go_out()
    told = [one for one in mail.outbox if "clinician again" in one.subject]
    assert len({str(one.extra_headers["Message-ID"]) for one in told}) == len(told) == 2


def test_a_letter_is_withdrawn_where_a_clinician_has_looked_meanwhile() -> None:
    case = given(OrganisationFactory())
    raise_it(case)
    acknowledge_raised(actor=SYSTEM, case=case, raised_at=case.raised_at)
    go_out()
    assert not letters()
    assert not [one for one in mail.outbox if "clinician again" in one.subject]


def test_whoever_left_is_not_told_and_where_nobody_is_left_every_provider_is() -> None:
    clinic = OrganisationFactory(contact_email="")
    providers = {MembershipFactory(organisation=clinic).user for _ in range(2)}
    MembershipFactory(organisation=clinic, user__is_active=False)
    MembershipFactory(organisation=clinic, role=Membership.Role.ANNOTATOR)
    left, elsewhere = UserFactory(), MembershipFactory().user
    for sender in (None, left, elsewhere):
        raise_it(given(clinic, created_by=sender))
        assert to_whom() == {user.email for user in providers}
        Message.objects.all().delete()


def test_of_a_photo_that_a_patient_sent_the_clinic_is_told_and_not_the_patient() -> None:
    clinic, patient = OrganisationFactory(), UserFactory()
    raise_it(given(clinic, source="patient", created_by=patient))
    assert to_whom() == {clinic.contact_email}


def test_each_clinic_has_its_own_letters() -> None:
    for _ in range(2):
        raise_it(given(OrganisationFactory(contact_email="desk@group.example")))
    assert len(letters()) == 2


def test_an_account_that_is_deleted_leaves_no_address_behind_and_the_clinics_own_stays() -> None:
    sender = MembershipFactory()
    raise_it(given(sender.organisation, created_by=sender.user))
    remove_user(actor=SYSTEM, user=sender.user)
    assert to_whom() == {sender.organisation.contact_email}


def test_software_is_told_with_ids_each_time() -> None:
    endpoint = EndpointFactory(event_types=[EventType.CASE_RAISED])
    case = given(endpoint.organisation)
    for _ in range(2):
        raise_it(case)
        acknowledge_raised(actor=SYSTEM, case=case, raised_at=case.raised_at)
    ids = {"case_id": str(case.pk), "batch_id": str(case.batch_id)}
    assert [json.loads(row.body)["data"] for row in endpoint.deliveries.all()] == [ids, ids]


def test_what_calls_for_no_more_than_what_raised_the_case_is_not_told_of_again() -> None:
    endpoint = EndpointFactory(event_types=[EventType.CASE_RAISED])
    case = given(endpoint.organisation)
    for advice, events in (("routine_referral", 1), ("routine_referral", 1), ("urgent_referral", 2)):
        CaseResultFactory(case=case, advice=advice)
        assert endpoint.deliveries.count() == events
    case.refresh_from_db()
    assert case.raised_at == case.results.get(advice="urgent_referral").created_at


def test_a_letter_that_is_written_anew_has_not_waited_since_it_was_first_written() -> None:
    """Whoever watches the service is not rung for a mail server that was away for a second."""
    case = given(OrganisationFactory())
    raise_it(case)
    went_out(ago=timedelta(days=100))
    Message.objects.update(created_at=timezone.now() - timedelta(days=100))
    acknowledge_raised(actor=SYSTEM, case=case, raised_at=case.raised_at)
    raise_it(case)

    token, letter = claim_message() or pytest.fail("nothing is due")
    put_off(message=letter, token=token, error=UNREACHABLE)
    assert {row.kind: row.age < 60 for row in waiting() if row.count} == {"message": True, "stranded_message": True}
