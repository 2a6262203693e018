"""The promises of the outbox: one message for one piece of news, and no hand-over twice, whatever happens."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import booleans

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    MembershipFactory,
    MessageFactory,
    OrganisationFactory,
    PatientFactory,
    UserFactory,
)
from webapp.accounts.models import Membership
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch
from webapp.cases.review import release_case
from webapp.errors import Problem
from webapp.notify.clinics import notify_clinic
from webapp.notify.delivery import (
    ATTEMPTS,
    UNKNOWN,
    claim_message,
    give_up,
    mark_sent,
    pause_after,
    put_off,
    send_again,
    sweep_messages,
)
from webapp.notify.letters import compose
from webapp.notify.models import Message
from webapp.notify.services import notify_patient_of_result, notify_patient_to_retake

State = Message.State
TO_STAFF = (Message.Kind.BATCH_COMPLETED, Message.Kind.REVIEW_WAITING, Message.Kind.CASE_RAISED)


@pytest.mark.django_db
def test_the_same_news_is_written_once_for_one_recipient() -> None:
    case = CaseResultFactory().case
    for _ in range(2):
        release_case(actor=SYSTEM, case=case)
        notify_patient_of_result(case=case)
        notify_clinic(batch=case.batch)
    assert sorted(Message.objects.values_list("kind", "recipient")) == [
        ("batch_completed", case.organisation.contact_email),
        ("result_ready", case.patient.email),
    ]


@pytest.mark.django_db
def test_a_complete_batch_is_told_of_to_nobody_who_works_there_no_more() -> None:
    clinic, stays = OrganisationFactory(contact_email="desk@clinic.example"), MembershipFactory()
    left, elsewhere = UserFactory(), MembershipFactory().user
    other_role = MembershipFactory(organisation=clinic, role=Membership.Role.ANNOTATOR).user
    closed = MembershipFactory(organisation=clinic, user__is_active=False).user
    for sender in (left, elsewhere, other_role, closed):
        notify_clinic(batch=BatchFactory(organisation=clinic, created_by=sender))
    assert set(Message.objects.values_list("recipient", flat=True)) == {"desk@clinic.example"}
    notify_clinic(batch=BatchFactory(organisation=stays.organisation, created_by=stays.user))
    assert Message.objects.latest("pk").recipient == stays.user.email


@pytest.mark.django_db
def test_only_a_patient_who_sent_a_photo_is_asked_for_a_new_one() -> None:
    theirs = CaseFactory(batch=BatchFactory(source=Batch.Source.PATIENT))
    for case in (CaseFactory(), theirs):
        notify_patient_to_retake(case=case)
    notify_clinic(batch=theirs.batch)
    assert [(message.case, message.kind) for message in Message.objects.all()] == [(theirs, "image_unusable")]


@pytest.mark.django_db
def test_nobody_is_told_where_no_address_is_known() -> None:
    organisation = OrganisationFactory(contact_email="")
    notify_clinic(batch=BatchFactory(organisation=organisation))
    notify_patient_of_result(case=CaseFactory(patient=PatientFactory(email="")))
    assert not Message.objects.exists()


def test_pauses_grow_and_differ() -> None:
    assert all(timedelta(seconds=15) <= pause_after(1) <= timedelta(seconds=30) for _ in range(50))
    assert all(timedelta(minutes=30) <= pause_after(ATTEMPTS) <= timedelta(hours=1) for _ in range(50))
    assert len({pause_after(5) for _ in range(20)}) > 1


def test_a_letter_is_tried_for_about_six_hours_while_the_mail_server_is_away() -> None:
    tried = [sum((pause_after(n) for n in range(1, ATTEMPTS)), timedelta(0)) for _ in range(50)]
    assert all(timedelta(hours=4) <= one <= timedelta(hours=8.1) for one in tried)
    assert timedelta(hours=5.5) <= sum(tried, timedelta(0)) / len(tried) <= timedelta(hours=6.5)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "told"),
    [(kind, kind not in TO_STAFF) for kind in Message.Kind],
)
def test_both_forms_of_a_letter_give_patients_the_clinics_telephone_and_staff_none(kind: str, told: bool) -> None:
    letter = MessageFactory(kind=kind, case__batch__organisation__help_phone="0123 4567")
    email = compose(letter)
    html, _ = email.alternatives[0]
    assert ("0123 4567" in str(email.body), "0123 4567" in str(html)) == (told, told)


@pytest.mark.django_db
def test_a_clinic_sees_its_own_failed_messages_and_sends_one_again(client: Client) -> None:
    member = MembershipFactory()
    ours = MessageFactory(case__batch__organisation=member.organisation, state=State.FAILED, error=UNKNOWN)
    other = MessageFactory(state=State.FAILED, error=UNKNOWN)
    client.force_login(member.user)
    page = client.get("/results/messages/").content.decode()
    assert ours.recipient in page
    assert other.recipient not in page
    assert client.post(f"/results/messages/{other.pk}/send-again/").status_code == 404
    assert client.post(f"/results/messages/{ours.pk}/send-again/").status_code == 302
    assert "has not failed" in client.post(f"/results/messages/{ours.pk}/send-again/", follow=True).content.decode()
    ours.refresh_from_db()
    assert (ours.state, ours.attempt) == (State.PENDING, 0)


@pytest.mark.django_db(transaction=True)
def test_no_message_is_handed_over_twice_whatever_dies() -> None:
    """Workers claim, hand over, die, wake up late; the sweep runs at any moment."""
    run_state_machine_as_test(
        Outbox,
        settings=settings(
            max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


class Outbox(RuleBasedStateMachine):
    """Messages with the workers that hold them; `handed` is what the mail server has."""

    def __init__(self) -> None:
        super().__init__()
        Message.objects.all().delete()
        self.held: list[tuple[uuid.UUID, Message]] = []
        self.handed: dict[int, int] = {}
        self.by_hand: dict[int, int] = {}

    @rule()
    def news(self) -> None:
        MessageFactory()

    @rule()
    def time_passes(self) -> None:
        Message.objects.filter(state=State.PENDING).update(send_after=timezone.now() - timedelta(seconds=1))

    @rule()
    def a_worker_claims(self) -> None:
        if claimed := claim_message():
            self.held.append(claimed)

    @rule(writes=booleans())
    def a_worker_hands_over(self, writes: bool) -> None:
        """It may die between the hand-over and writing it down."""
        if self.held:
            token, message = self.held.pop(0)
            self.handed[message.pk] = self.handed.get(message.pk, 0) + 1
            if writes:
                mark_sent(message=message, token=token)

    @rule()
    def the_server_refuses_for_now(self) -> None:
        if self.held:
            token, message = self.held.pop(0)
            put_off(message=message, token=token, error="busy")

    @rule()
    def the_server_refuses_for_good(self) -> None:
        if self.held:
            token, message = self.held.pop(0)
            give_up(message=message, token=token, error="no such person")

    @rule()
    def leases_run_out(self) -> None:
        Message.objects.filter(state=State.SENDING).update(lease_until=timezone.now() - timedelta(seconds=1))
        sweep_messages()

    @rule()
    def a_person_sends_again(self) -> None:
        message = Message.objects.filter(state=State.FAILED).first()
        if message is not None:
            send_again(actor=SYSTEM, message=message)
            self.by_hand[message.pk] = self.by_hand.get(message.pk, 0) + 1
        for other in Message.objects.exclude(state=State.FAILED)[:1]:
            with pytest.raises(Problem, match="has not failed"):
                send_again(actor=SYSTEM, message=other)

    @invariant()
    def nobody_got_it_twice_unless_a_person_said_so(self) -> None:
        for pk, times in self.handed.items():
            assert times <= 1 + self.by_hand.get(pk, 0)

    @invariant()
    def sent_means_handed_over(self) -> None:
        for pk in Message.objects.filter(state=State.SENT).values_list("pk", flat=True):
            assert self.handed.get(pk)
