"""A patient chooses whether models learn from their photos, when they join and at any time. All else is the same."""

import pytest
from django.test import Client
from django.utils.html import escape

from tests.factories import OrganisationFactory, PatientFactory, UserFactory
from webapp.accounts.models import Patient
from webapp.audit.models import Event
from webapp.patients.words import MAY_LEARN, MAY_NOT_LEARN, TRAINING

pytestmark = pytest.mark.django_db
BORN = {"day": "27", "month": "3", "year": "1964"}


def choices() -> list[str]:
    return list(Event.objects.filter(action="patient.training_consent").order_by("pk").values_list("detail", flat=True))


@pytest.mark.parametrize(("ticked", "agreed"), [({}, False), ({"training": "on"}, True)])
def test_who_joins_chooses_and_goes_on_either_way(client: Client, ticked: dict[str, str], agreed: bool) -> None:
    OrganisationFactory(slug="skin-clinic")
    client.force_login(UserFactory())
    page = client.get("/join/skin-clinic/").content.decode()
    assert 'name="training"' in page
    assert " checked" not in page
    for sentence in TRAINING:
        assert escape(sentence) in page

    answer = client.post("/join/skin-clinic/", {**BORN, "agree": "on", **ticked})

    assert answer["Location"] == "/my/photo/?clinic=skin-clinic"
    assert client.get(answer["Location"]).status_code == 200
    assert Patient.objects.get().training_consent is agreed
    assert choices() == ["yes" if agreed else "no"]


def test_to_agree_to_training_alone_is_not_to_join(client: Client) -> None:
    OrganisationFactory(slug="skin-clinic")
    client.force_login(UserFactory())
    page = client.post("/join/skin-clinic/", {**BORN, "training": "on"}).content.decode()
    assert "Tick the box if you agree." in page
    assert page.count(" checked") == 1  # what was chosen stays chosen
    assert not Patient.objects.exists()


def test_of_somebody_whom_the_clinic_knows_their_own_choice_holds(client: Client) -> None:
    known = PatientFactory(email="me@home.example", date_of_birth="1964-03-27")
    client.force_login(UserFactory(email="me@home.example"))
    client.post(f"/join/{known.organisation.slug}/", {**BORN, "agree": "on"})
    known.refresh_from_db()
    assert known.user is not None
    assert not known.training_consent


def test_a_patient_changes_their_mind_at_one_clinic_as_often_as_they_like(client: Client, patient: Patient) -> None:
    other = PatientFactory(user=patient.user)
    address = f"/my/training/{patient.pk}/"
    for said, agreed in (({}, False), ({}, False), ({"agreed": "yes"}, True), ({}, False)):
        page = client.post(address, said, follow=True).content.decode()
        assert (MAY_LEARN if agreed else MAY_NOT_LEARN) in page
        assert f'action="{address}"' in page
        patient.refresh_from_db()
        assert patient.training_consent is agreed
    assert choices() == ["no", "yes", "no"]
    event = Event.objects.filter(action="patient.training_consent").latest("pk")
    assert (event.user, event.organisation, event.object_id) == (patient.user, patient.organisation, str(patient.pk))
    other.refresh_from_db()
    assert other.training_consent


def test_nobody_chooses_for_another_patient(client: Client, patient: Patient) -> None:
    other = PatientFactory(user=UserFactory(), organisation=patient.organisation)
    assert client.post(f"/my/training/{other.pk}/").status_code == 404
    assert client.get(f"/my/training/{patient.pk}/").status_code == 405
    other.refresh_from_db()
    assert other.training_consent
