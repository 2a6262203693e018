"""Who leaves a clinic: the keys that they made go on working, so they are pointed at."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import MembershipFactory, OrganisationFactory, UserFactory
from tests.webapp.forms import as_shown
from webapp.accounts.models import ApiKey, Membership, User
from webapp.accounts.services import create_api_key, revoke_api_key
from webapp.audit.services import SYSTEM, Actor

pytestmark = pytest.mark.django_db
MARKED = "Nobody who is a provider here made it."


@pytest.fixture
def key() -> ApiKey:
    """A key of a clinic, made by one of its two providers."""
    member = MembershipFactory()
    MembershipFactory(organisation=member.organisation)
    made, _ = create_api_key(actor=Actor(user=member.user), organisation=member.organisation, name="Ward software")
    return made


def maker(key: ApiKey) -> Membership:
    assert key.created_by
    return key.created_by.membership


def page(name: str, *args: object) -> str:
    return reverse(f"admin:accounts_{name}", args=args)


def removed(client: Client, member: Membership) -> Any:
    return client.post(page("membership_delete", member.pk), {"post": "yes"}, follow=True)


def inactive(client: Client, member: Membership) -> Any:
    address = page("user_change", member.user_id)
    said = as_shown(client.get(address).content.decode())
    del said["is_active"]  # the box was cleared
    return client.post(address, said, follow=True)


def deleted(client: Client, member: Membership) -> Any:
    return client.post(page("user_delete", member.user_id), {"post": "yes"}, follow=True)


def moved(client: Client, member: Membership) -> Any:
    values = {"user": member.user_id, "organisation": OrganisationFactory().pk, "role": "provider"}
    return client.post(page("membership_change", member.pk), values, follow=True)


def annotator(client: Client, member: Membership) -> Any:
    values = {"user": member.user_id, "organisation": member.organisation_id, "role": "annotator"}
    return client.post(page("membership_change", member.pk), values, follow=True)


def replaced(client: Client, member: Membership) -> Any:
    values = {"user": UserFactory().pk, "organisation": member.organisation_id, "role": "provider"}
    return client.post(page("membership_change", member.pk), values, follow=True)


def on_the_clinics_page(client: Client, member: Membership) -> Any:
    address = page("organisation_change", member.organisation_id)
    formset = client.get(address).context["inline_admin_formsets"][0].formset
    forms = [client.get(address).context["adminform"].form, formset.management_form, *formset.forms]
    values = {form.add_prefix(name): form[name].value() for form in forms for name in form.fields}
    values = {name: "" if value is None else value for name, value in values.items() if value is not False}
    [row] = [form.prefix for form in formset.forms if form.instance.pk == member.pk]
    return client.post(address, {**values, f"{row}-DELETE": "on"}, follow=True)


@pytest.mark.parametrize("leaves", [removed, inactive, deleted, moved, annotator, replaced, on_the_clinics_page])
def test_an_administrator_and_the_clinic_are_told_which_keys_somebody_leaves_behind(
    client: Client, administrator: User, key: ApiKey, leaves: Any
) -> None:
    colleague = key.organisation.memberships.exclude(pk=maker(key).pk).get()

    told = leaves(client, maker(key)).content.decode()

    assert f"The API key “{key}” of {key.organisation} still works" in told
    client.force_login(colleague.user)
    assert MARKED in client.get(reverse("accounts:api_keys")).content.decode()


def test_a_key_of_somebody_who_is_there_and_a_revoked_one_are_not_pointed_at(
    client: Client, administrator: User, key: ApiKey
) -> None:
    member = maker(key)
    values = {"user": member.user_id, "organisation": member.organisation_id, "role": "provider"}
    assert "still works" not in client.post(page("membership_change", member.pk), values, follow=True).content.decode()
    client.force_login(member.user)
    assert MARKED not in client.get(reverse("accounts:api_keys")).content.decode()
    revoke_api_key(actor=SYSTEM, key=key)
    client.force_login(administrator)
    assert "still works" not in removed(client, member).content.decode()


def test_who_comes_is_no_reason_to_point_at_what_others_left_behind(
    client: Client, administrator: User, key: ApiKey
) -> None:
    removed(client, maker(key))
    values = {"user": UserFactory().pk, "organisation": key.organisation_id, "role": "provider"}
    assert "still works" not in client.post(page("membership_add"), values, follow=True).content.decode()
