"""What an administrator does to a clinic and its people is in the clinic's own audit trail."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import (
    CaseFactory,
    ConsensusFactory,
    JobFactory,
    LabelFactory,
    MembershipFactory,
    OrganisationFactory,
    PatientFactory,
    UserFactory,
)
from tests.webapp.forms import as_shown
from webapp.accounts.models import Membership, Organisation, User
from webapp.audit.models import Event

pytestmark = pytest.mark.django_db


def trail(organisation: Organisation) -> list[tuple[str, str, str]]:
    events = Event.objects.filter(organisation=organisation).order_by("pk")
    return [(event.action, event.object_id, event.detail) for event in events]


def page(name: str, *args: object) -> str:
    return reverse(f"admin:accounts_{name}", args=args)


def saved(client: Client, address: str, **changes: Any) -> None:
    """What the page says is sent with these changes; a field of None is not, such as a box that was cleared."""
    said = as_shown(client.get(address).content.decode()) | changes
    sent = {name: value for name, value in said.items() if value is not None}
    assert client.post(address, sent).status_code == 302


def test_a_clinic_that_is_made_and_changed_says_which_fields(client: Client, administrator: User) -> None:
    saved(client, page("organisation_add"), name="Skin", slug="skin")
    clinic = Organisation.objects.get()
    address = page("organisation_change", clinic.pk)
    saved(client, address)
    saved(client, address, retention_days=90, contact_email="desk@clinic.example")

    assert [action for action, _, _ in trail(clinic)] == ["organisation.added", "organisation.changed"]
    detail = trail(clinic)[-1][2]
    assert set(detail.split(", ")) == {"retention_days", "contact_email"}
    clinic.refresh_from_db()
    assert clinic.retention_days == 90
    assert set(Event.objects.values_list("user", flat=True)) == {administrator.pk}


def test_members_who_come_change_and_go_on_the_clinics_page(client: Client, administrator: User) -> None:
    clinic, user = OrganisationFactory(), UserFactory()
    address, row = page("organisation_change", clinic.pk), "memberships-0-"
    saved(client, address, **{f"{row}user": user.pk, f"{row}role": "annotator"})
    saved(client, address, **{f"{row}role": "provider"})
    saved(client, address, **{f"{row}DELETE": "on"})

    assert trail(clinic) == [
        ("membership.added", str(user.pk), "role=annotator"),
        ("membership.changed", str(user.pk), "role=provider"),
        ("membership.removed", str(user.pk), "role=provider"),
    ]
    assert not Membership.objects.exists()


def test_somebody_who_goes_to_another_clinic_is_in_both_trails(client: Client, administrator: User) -> None:
    member, other = MembershipFactory(role="provider"), OrganisationFactory()
    known = str(member.user_id)
    values = {"user": member.user_id, "organisation": other.pk, "role": "provider"}
    assert client.post(page("membership_change", member.pk), values).status_code == 302
    assert trail(member.organisation) == [("membership.removed", known, "role=provider")]
    assert trail(other) == [("membership.added", known, "role=provider")]


@pytest.mark.parametrize("name", ["membership", "user"])
@pytest.mark.parametrize("how", ["delete", "selected"])
def test_a_member_who_is_deleted_is_in_the_trail(client: Client, administrator: User, name: str, how: str) -> None:
    member = MembershipFactory(role="operator")
    pk, known = (member.pk if name == "membership" else member.user_id), str(member.user_id)
    if how == "delete":
        client.post(page(f"{name}_delete", pk), {"post": "yes"})
    else:
        values = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
        client.post(page(f"{name}_changelist"), values)
    assert not Membership.objects.exists()
    assert User.objects.filter(pk=known).exists() == (name == "membership")
    assert trail(member.organisation) == [("membership.removed", known, "role=operator")]


def test_a_member_who_may_no_more_sign_in_is_in_the_trail(client: Client, administrator: User) -> None:
    member = MembershipFactory()
    for _ in range(2):
        saved(client, page("user_change", member.user_id), is_active=None)
    assert trail(member.organisation) == [("membership.changed", str(member.user_id), "is_active")]
    saved(client, page("user_change", administrator.pk), is_superuser=None)
    assert Event.objects.count() == 1


def test_only_a_person_can_change_their_address(client: Client, administrator: User) -> None:
    user = UserFactory()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    EmailAddress.objects.create(user=user, email="not-yet@home.example")
    address = page("user_change", user.pk)
    html = client.get(address).content.decode()
    assert "People change their own address" in html
    assert user.email in html
    assert "not-yet@home.example" not in html
    assert client.post(address, {"email": "other@home.example", "is_active": "on"}).status_code == 302
    user.refresh_from_db()
    assert user.email != "other@home.example"
    assert client.get("/admin/account/emailaddress/").status_code == 404
    assert client.post(page("user_delete", user.pk), {"post": "yes"}).status_code == 302
    assert not EmailAddress.objects.exists()


def test_the_clinic_reads_of_its_members(client: Client) -> None:
    administrator = UserFactory(is_superuser=True, is_staff=True)
    client.force_login(administrator)
    clinic, user = OrganisationFactory(), UserFactory()
    address = page("membership_add")
    client.post(address, {"user": user.pk, "organisation": clinic.pk, "role": "provider"})
    client.force_login(user)
    html = client.get(reverse("audit:events"), {"subject": "membership"}).content.decode()
    assert "Membership added" in html


def test_a_patient_is_born_in_the_past(client: Client, administrator: User) -> None:
    patient = PatientFactory()
    address = page("patient_change", patient.pk)
    tomorrow = timezone.localdate() + timedelta(days=1)
    for born in (str(tomorrow), "1850-01-01"):
        refused = client.post(address, {"email": "", "date_of_birth": born})
        assert "must be in the past" in refused.content.decode(), born
    assert client.post(address, {"email": "", "date_of_birth": "1960-02-03"}).status_code == 302
    assert client.post(address, {"email": "", "date_of_birth": ""}).status_code == 302


def test_an_administrators_look_at_a_patient_is_in_the_clinics_trail(client: Client, administrator: User) -> None:
    patient = PatientFactory()
    for _ in range(2):
        assert patient.email in client.get(page("patient_change", patient.pk)).content.decode()
    event = Event.objects.get(organisation=patient.organisation)
    assert (event.action, event.object_id, event.user) == ("patient.viewed", str(patient.pk), administrator)


def test_the_clinic_reads_that_it_was_an_administrator(client: Client, administrator: User) -> None:
    member = MembershipFactory(role="provider")
    patient = PatientFactory(organisation=member.organisation)
    client.post(page("patient_change", patient.pk), {"email": "new@home.example", "date_of_birth": ""})
    client.force_login(member.user)
    html = client.get(reverse("audit:events"), {"subject": "patient"}).content.decode()
    assert "An administrator of the site" in html
    assert administrator.email not in html


def test_an_administrator_begins_without_a_warning() -> None:
    call_command("check", fail_level="WARNING")


def test_the_pages_say_whose_they_are_and_what_a_slug_is(client: Client, administrator: User) -> None:
    html = client.get(page("organisation_add")).content.decode()
    assert "Django administration" not in html
    assert "gives its patients, after /join/<" in html


@pytest.mark.parametrize("how", ["delete", "selected"])
def test_who_has_reviewed_a_case_is_not_deleted(client: Client, administrator: User, how: str) -> None:
    user = MembershipFactory().user
    CaseFactory(released_at=timezone.now(), reviewed_at=timezone.now(), reviewed_by=user)
    assert "cannot be deleted" in client.get(page("user_change", user.pk)).content.decode()

    assert deleted(client, user, how) == 403
    assert User.objects.filter(pk=user.pk).exists()


def deleted(client: Client, user: User, how: str) -> int:
    if how == "delete":
        return client.post(page("user_delete", user.pk), {"post": "yes"}).status_code
    chosen = {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"}
    return client.post(page("user_changelist"), chosen).status_code


@pytest.mark.parametrize("how", ["delete", "selected"])
def test_an_annotator_is_deleted_who_has_looked_and_said_nothing(client: Client, administrator: User, how: str) -> None:
    member = MembershipFactory(role="annotator")
    JobFactory(image__case__batch__organisation=member.organisation, succeeded=True)
    client.force_login(member.user)
    assert client.get("/labels/").context["image"] is not None
    client.force_login(administrator)

    assert deleted(client, member.user, how) == 302
    assert not User.objects.filter(pk=member.user_id).exists()


@pytest.mark.parametrize("how", ["delete", "selected"])
@pytest.mark.parametrize("did", ["labelled", "settled"])
def test_whose_labels_models_learn_from_is_not_deleted(client: Client, administrator: User, did: str, how: str) -> None:
    user = MembershipFactory(role="annotator").user
    if did == "labelled":
        LabelFactory(annotator=user)
    else:
        ConsensusFactory(settled_by=user)
    assert "or labelled a picture" in client.get(page("user_change", user.pk)).content.decode()

    assert deleted(client, user, how) == (403 if how == "delete" else 200)  # a page that says which labels
    assert User.objects.filter(pk=user.pk).exists()


def test_the_trail_names_the_fields_of_a_patient_that_changed(client: Client, administrator: User) -> None:
    patient = PatientFactory(email="old@home.example", date_of_birth="1960-02-03")
    for email, born in (
        ("old@home.example", "1960-02-03"),
        ("new@home.example", "1960-02-03"),
        ("new@home.example", "1960-02-04"),
        ("", ""),
    ):
        saved(client, page("patient_change", patient.pk), email=email, date_of_birth=born)
    details = Event.objects.filter(action="patient.corrected").order_by("pk").values_list("detail", flat=True)
    assert list(details) == ["email", "date_of_birth", "email, date_of_birth"]


def test_patients_are_listed_by_their_ids_with_times_of_24_hours(client: Client, administrator: User) -> None:
    clinic = OrganisationFactory()
    names = ["P-3", "P-1", "P-2"]
    made = [PatientFactory(organisation=clinic, external_id=name) for name in names]
    type(made[0]).objects.update(created_at=timezone.now().replace(hour=16, minute=5))
    html = client.get(page("patient_changelist")).content.decode()
    assert sorted(names, key=html.index) == sorted(names)
    assert "16:05" in html
    assert "p.m." not in html
