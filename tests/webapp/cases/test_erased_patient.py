"""Whose an erased case was: no row and no page says it, and what others did keeps their names."""

import io

import pytest
from django.test import Client as Browser
from django.urls import reverse

from tests.factories import PatientFactory, UserFactory
from tests.webapp.cases.telling import everything
from webapp.accounts.models import Membership, Patient
from webapp.audit.models import Event
from webapp.audit.services import Actor
from webapp.cases.erasure import erase_case
from webapp.cases.models import Batch, Case
from webapp.patients.photos import send_photos

pytestmark = pytest.mark.django_db(transaction=True)


def from_the_phone(patient: Patient) -> Case:
    return send_photos(actor=Actor(user=patient.user), patient=patient, key="a key", photos=[io.BytesIO(b"skin")])


def test_a_case_from_the_phone_does_not_say_who_sent_it(client: Browser, provider: Membership) -> None:
    user = UserFactory(email="jane@home.example")
    patient = PatientFactory(organisation=provider.organisation, user=user, email=user.email)
    case = from_the_phone(patient)
    client.force_login(user)
    client.get(reverse("patient:case", args=[case.pk]))
    client.force_login(provider.user)
    batch, erased = (reverse("cases:batch", args=[case.batch_id]), reverse("cases:case", args=[case.pk]))
    assert user.email in client.get(batch).content.decode()
    key = Batch.objects.get().idempotency_key
    assert key
    assert key.startswith(str(patient.pk))

    erase_case(actor=Actor(user=provider.user), case=case)

    rows = [row for row in everything() if not row.startswith(("User", "Patient"))]
    of_account = [f"'user_id': {user.pk},", f"_by_id': {user.pk},"]
    for trace in (user.email, str(patient.pk), key.rpartition(":")[2], *of_account):
        assert [row for row in rows if trace in row] == [], trace
    for address in (batch, erased):
        page = client.get(address).content.decode()
        assert "Erased" in page
        assert "jane" not in page
    trail = client.get(reverse("audit:events"), {"object_id": str(case.batch_id), "who": "others"}).content.decode()
    assert "Batch submitted" in trail
    assert "The patient" in trail
    assert "Batch submitted" not in client.get(reverse("audit:events"), {"who": "system"}).content.decode()


def test_what_others_did_with_the_case_keeps_their_names(client: Browser, provider: Membership) -> None:
    case = from_the_phone(PatientFactory(organisation=provider.organisation, user=UserFactory()))
    client.get(reverse("cases:case", args=[case.pk]))

    erase_case(actor=Actor(user=provider.user), case=case)

    by = dict(Event.objects.filter(object_id=str(case.pk)).values_list("action", "user"))
    assert (by["case.viewed"], by["case.erased"]) == (provider.user.pk, provider.user.pk)
