"""Whoever looks at findings is in the trail of the clinic, whatever they send along."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ConsensusFactory,
    ImageFactory,
    LabelFactory,
    MembershipFactory,
    ResultFactory,
    UserFactory,
)
from tests.webapp.api.clinic import API, Clinic, good
from tests.webapp.reports.scenes import jpeg
from webapp import storage
from webapp.accounts.models import Membership
from webapp.audit.models import Event
from webapp.audit.services import SAME_VIEW
from webapp.labels.models import Label

pytestmark = pytest.mark.django_db


def test_no_header_hides_a_view_of_a_batch_and_a_page_that_renews_itself_adds_one_event(client: Client) -> None:
    member = MembershipFactory()
    batch = BatchFactory(organisation=member.organisation)
    address = reverse("cases:batch", args=[batch.pk])
    viewed = Event.objects.filter(action="batch.viewed", object_id=str(batch.pk))

    client.force_login(member.user)
    for _ in range(3):
        client.get(address, headers={"HX-Request": "true"})
    assert (viewed.get().user, viewed.get().organisation) == (member.user, member.organisation)
    client.force_login(MembershipFactory(organisation=member.organisation).user)
    client.get(address)
    assert viewed.count() == 2
    viewed.update(at=timezone.now() - SAME_VIEW)
    client.get(address, headers={"HX-Request": "true"})
    assert viewed.count() == 3


def test_an_annotator_who_asks_for_the_models_answer_is_recorded_once(client: Client) -> None:
    member = MembershipFactory(role="annotator")
    image = ImageFactory(case=CaseFactory(batch__organisation=member.organisation), ready=True)
    ResultFactory(job__image=image, top_class="NV")
    label = Label.objects.create(image=image, annotator=member.user, dx="MEL", confidence=2)
    client.force_login(member.user)
    for _ in range(2):
        client.post(reverse("labels:compare", args=[label.pk]))
    event = Event.objects.get(action="label.compared")
    assert (event.user, event.object_id, event.organisation) == (member.user, str(image.pk), member.organisation)


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/batches/{batch.pk}", "batch.viewed"),
        ("/batches/{batch.pk}/images", "batch.viewed"),
        ("/images/{image.pk}", "image.viewed"),
        ("/cases?patient_id=P-7", "case.viewed"),
        ("/cases?case_id=A-7", "case.viewed"),
    ],
)
def test_software_that_asks_for_findings_is_recorded_with_what_they_are_of(path: str, action: str) -> None:
    clinic = Clinic()
    batch = BatchFactory(organisation=clinic.organisation)
    case = CaseFactory(batch=batch, external_id="A-7", patient__external_id="P-7")
    image, other = ImageFactory(case=case), CaseFactory(batch=batch)

    for _ in range(2):
        good(clinic.get(path.format(batch=batch, image=image)))

    of_what = {"batch.viewed": batch.pk, "image.viewed": image.pk, "case.viewed": case.pk}[action]
    event = Event.objects.get(action=action)
    assert (event.api_key, event.object_id, event.organisation) == (clinic.key, str(of_what), clinic.organisation)
    assert not Event.objects.filter(object_id=str(other.pk)).exists()


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("POST", "/cases/{case.pk}/release", "case.viewed"),
        ("DELETE", "/cases/{case.pk}/photos", "case.viewed"),
        ("POST", "/batches/{case.batch_id}/submit", "batch.viewed"),
        ("POST", "/batches/{case.batch_id}/cancel", "batch.viewed"),
        ("POST", "/images/{image.pk}/complete", "image.viewed"),
    ],
)
def test_to_repeat_what_has_been_done_is_a_look_at_what_it_answers(method: str, path: str, action: str) -> None:
    clinic = Clinic()
    batch = BatchFactory(organisation=clinic.organisation, submitted=True, remaining=1)
    case = CaseResultFactory(case__batch=batch).case
    ended = timezone.now()
    image = ImageFactory(case=case, state="rejected", reason="not_a_lesion", stored_at=ended, ended_at=ended)
    address = API + path.format(case=case, image=image)

    for _ in range(2):
        Event.objects.all().delete()
        good(clinic.http.generic(method, address, b"" if method == "DELETE" else b"{}", "application/json"))

    of_what = {"batch.viewed": batch.pk, "image.viewed": image.pk, "case.viewed": case.pk}[action]
    event = Event.objects.get(action=action)
    assert (event.api_key, event.object_id) == (clinic.key, str(of_what))


def test_the_part_of_a_page_that_renews_itself_is_recorded_alone(client: Client) -> None:
    member = MembershipFactory()
    batch = BatchFactory(organisation=member.organisation, submitted=True, remaining=1)
    client.force_login(member.user)
    for _ in range(2):
        client.get(reverse("cases:batch_progress", args=[batch.pk]))
    event = Event.objects.get(action="batch.viewed")
    assert (event.user, event.object_id) == (member.user, str(batch.pk))


def test_a_patients_look_at_a_photo_is_recorded_as_a_providers_is(client: Client) -> None:
    case = CaseFactory(batch__source="patient", patient__user=UserFactory())
    image = ImageFactory(case=case, ready=True)
    storage.write(image.clean_key, jpeg())
    client.force_login(case.patient.user)

    for route in ("patient:thumbnail", "patient:image"):
        assert client.get(reverse(route, args=[case.pk, image.pk])).status_code == 200

    event = Event.objects.get(action="image.viewed")
    assert (event.user, event.object_id, event.detail) == (case.patient.user, str(image.pk), "clean")


def test_the_models_answers_beside_ones_own_are_recorded(client: Client) -> None:
    member = MembershipFactory(role="annotator")
    image = ImageFactory(case=CaseFactory(batch__organisation=member.organisation), ready=True)
    ResultFactory(job__image=image)
    LabelFactory(image=image, annotator=member.user)
    client.force_login(member.user)
    viewed = Event.objects.filter(user=member.user, organisation=member.organisation, action__startswith="label.")

    client.get("/labels/")
    assert not viewed.exists()  # while the label is not final the model's answer is not shown
    LabelFactory(image=image)
    ConsensusFactory(image=image)
    client.get("/labels/")
    assert viewed.get(action="label.model_answer_viewed").object_id == str(image.pk)
    client.get("/labels/mine/")
    assert viewed.filter(action="label.own_viewed").count() == 1


def test_whoever_lists_patients_addresses_is_recorded(client: Client, provider: Membership) -> None:
    client.get(reverse("notify:messages"))
    event = Event.objects.get(action="message.listed")
    assert (event.user, event.organisation) == (provider.user, provider.organisation)


def test_the_site_of_administrators_lists_no_finding(client: Client) -> None:
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    listed = {
        f"{app['app_label']}.{model['object_name']}"
        for app in client.get(reverse("admin:index")).context["app_list"]
        for model in app["models"]
    }
    assert "registry.ModelRelease" in listed
    assert not listed & {
        "labels.Assignment",
        "labels.Label",
        "labels.Consensus",
        "inference.Result",
        "inference.CaseResult",
        "cases.Case",
    }
