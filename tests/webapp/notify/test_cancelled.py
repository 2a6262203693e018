"""A patient hears of it when a clinic cancels the check of their photo."""

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from tests.factories import CaseFactory, CaseResultFactory, ImageFactory, UserFactory
from tests.webapp.notify.post import go_out
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch, Case, Image
from webapp.cases.services import cancel_batch, submit_batch
from webapp.notify.models import Message

pytestmark = pytest.mark.django_db


def awaited(source: str = Batch.Source.PATIENT) -> Case:
    """A case whose photo waits for the model."""
    case: Case = CaseFactory(batch__source=source, patient__user=UserFactory())
    ImageFactory(case=case, ready=True)
    submit_batch(actor=SYSTEM, batch=case.batch)
    return case


def test_a_patient_whose_photo_is_cancelled_gets_one_letter_that_leads_to_the_reason(client: Client) -> None:
    case = awaited()
    for _ in range(2):
        cancel_batch(actor=SYSTEM, batch=case.batch)
    go_out()
    [letter] = mail.outbox
    assert letter.to == [case.patient.email]
    assert "something new about what you sent" in letter.body
    assert "cancel" not in letter.body
    assert case.patient.user is not None
    client.force_login(case.patient.user)
    address = f"/my/cases/{case.pk}/"
    assert address in letter.body
    assert "Your clinic has stopped this check." in client.get(address).content.decode()


def test_nobody_is_told_of_what_they_do_not_wait_for() -> None:
    answered = awaited()
    ImageFactory(case=answered, stored=True)
    CaseResultFactory(case=answered)
    deleted = CaseFactory(batch__source=Batch.Source.PATIENT)
    ImageFactory(case=deleted, state=Image.State.PURGED, ended_at=timezone.now())
    for case in (answered, deleted, awaited(Batch.Source.WEB)):
        cancel_batch(actor=SYSTEM, batch=case.batch)
        assert Batch.objects.get(pk=case.batch_id).state == Batch.State.CANCELLED
    assert not Message.objects.exists()
