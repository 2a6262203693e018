"""A page that was opened before a colleague changed something takes nothing back that nobody changed on it."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import MembershipFactory, MessageFactory, OrganisationFactory, UserFactory
from tests.webapp.forms import as_shown
from webapp.accounts.models import Membership, Organisation, User
from webapp.audit.models import Event
from webapp.notify.models import Message

pytestmark = pytest.mark.django_db


def page(name: str, *args: object) -> str:
    return reverse(f"admin:accounts_{name}_change", args=args)


def shown(client: Client, address: str) -> dict[str, list[str]]:
    return as_shown(client.get(address).content.decode())


def sent(client: Client, address: str, said: dict[str, list[str]], **changes: Any) -> None:
    assert client.post(address, {**said, **changes}).status_code == 302


def test_who_corrects_a_telephone_leaves_a_colleagues_policy_and_period(client: Client, provider: Membership) -> None:
    Organisation.objects.update(release_policy="automatic", retention_days=30)
    address = reverse("accounts:organisation")
    said = shown(client, address)
    Organisation.objects.update(release_policy="manual", retention_days=365, contact_email="new@clinic.example")

    sent(client, address, said, help_phone="0123")

    clinic = Organisation.objects.get()
    assert (clinic.release_policy, clinic.retention_days) == ("manual", 365)
    assert (clinic.help_phone, clinic.contact_email) == ("0123", "new@clinic.example")
    assert Event.objects.get(action="organisation.changed").detail == "help_phone"


def test_settings_that_were_changed_on_the_page_are_saved_and_the_trail_says_which(
    client: Client, provider: Membership
) -> None:
    Organisation.objects.update(retention_days=30, help_phone="0123")
    address = reverse("accounts:organisation")

    sent(client, address, shown(client, address))
    assert not Event.objects.exists()
    sent(client, address, shown(client, address), retention_days="", release_policy="automatic", help_phone="")

    clinic = Organisation.objects.get()
    assert (clinic.release_policy, clinic.retention_days, clinic.help_phone) == ("automatic", None, "")
    detail = Event.objects.get(action="organisation.changed").detail
    assert detail == "release_policy=automatic, help_phone, retention_days=None"


def test_an_administrator_who_raises_a_quota_leaves_a_clinics_settings(client: Client, administrator: User) -> None:
    clinic = OrganisationFactory(release_policy="automatic", retention_days=30)
    address = page("organisation", clinic.pk)
    said = shown(client, address)
    Organisation.objects.update(release_policy="manual", retention_days=365)

    sent(client, address, said, images_a_day="5000")

    clinic.refresh_from_db()
    assert (clinic.images_a_day, clinic.release_policy, clinic.retention_days) == (5000, "manual", 365)
    assert Event.objects.get().detail == "images_a_day"


def test_an_administrator_who_raises_a_quota_leaves_the_roles_of_members(client: Client, administrator: User) -> None:
    member = MembershipFactory(role="provider")
    address = page("organisation", member.organisation_id)
    said = shown(client, address)
    Membership.objects.update(role="annotator")

    sent(client, address, said, images_a_day="5000")

    member.refresh_from_db()
    assert member.role == "annotator"


def test_who_puts_somebody_else_into_a_row_leaves_the_role_that_a_colleague_has_set(
    client: Client, administrator: User
) -> None:
    member, other = MembershipFactory(role="provider"), UserFactory()
    address = page("organisation", member.organisation_id)
    said = shown(client, address)
    Membership.objects.update(role="annotator")

    sent(client, address, said, **{"memberships-0-user": str(other.pk)})

    member.refresh_from_db()
    assert (member.user, member.role) == (other, "annotator")
    assert Event.objects.get(action="membership.added").detail == "role=annotator"


def test_a_membership_that_is_saved_untouched_keeps_the_role_that_a_colleague_has_set(
    client: Client, administrator: User
) -> None:
    member = MembershipFactory(role="provider")
    address = page("membership", member.pk)
    said = shown(client, address)
    Membership.objects.update(role="annotator")

    sent(client, address, said)

    member.refresh_from_db()
    assert member.role == "annotator"
    assert not Event.objects.exists()


def test_an_administrator_who_gives_rights_leaves_an_account_inactive(client: Client, administrator: User) -> None:
    user = UserFactory()
    address = page("user", user.pk)
    said = shown(client, address)
    User.objects.filter(pk=user.pk).update(is_active=False)

    sent(client, address, said, is_staff="on")

    user.refresh_from_db()
    assert (user.is_active, user.is_staff) == (False, True)


def test_a_date_of_birth_is_corrected_and_the_address_that_a_patient_has_chosen_stays(
    client: Client, administrator: User
) -> None:
    letter = MessageFactory(state=Message.State.SENT, sent_at=timezone.now())
    patient = letter.case.patient
    address = page("patient", patient.pk)
    said = shown(client, address)
    type(patient).objects.update(email="chosen@home.example", clinics_email=patient.email)

    sent(client, address, said, date_of_birth="1961-01-01")

    patient.refresh_from_db()
    assert (patient.email, str(patient.date_of_birth)) == ("chosen@home.example", "1961-01-01")
    assert patient.clinics_email
    letter.refresh_from_db()
    assert letter.state == Message.State.SENT
    assert Event.objects.get(action="patient.corrected").detail == "date_of_birth"
