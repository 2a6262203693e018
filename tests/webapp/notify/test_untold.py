"""Patients whose letter did not go out: who is told so, and when it goes out after all."""

from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import CaseResultFactory, MembershipFactory, MessageFactory, PatientFactory
from tests.webapp.api.clinic import Clinic, case, good
from tests.webapp.notify.post import go_out
from webapp.accounts.services import correct_patient
from webapp.audit.services import SYSTEM
from webapp.notify.delivery import UNKNOWN
from webapp.notify.links import TRIES, find_link, make_result_link, open_link
from webapp.notify.models import Message, ResultLink

pytestmark = pytest.mark.django_db


def test_a_letter_that_failed_is_told_by_the_release_and_by_the_page_of_the_case(client: Client) -> None:
    clinic = Clinic()
    released = CaseResultFactory(case__batch__organisation=clinic.organisation).case
    assert good(clinic.post(f"/cases/{released.pk}/release"))["notified"] is True
    Message.objects.update(state=Message.State.FAILED, error="no such address")

    again = good(clinic.post(f"/cases/{released.pk}/release"))
    assert (again["notified"], again["problem"]["code"]) == (False, "letter_failed")
    client.force_login(MembershipFactory(organisation=clinic.organisation).user)
    page = client.get(reverse("cases:case", args=[released.pk])).content.decode()
    assert again["problem"]["detail"] in page
    assert reverse("notify:messages") in page


def test_whoever_is_asked_where_the_letter_is_reads_on_the_case_whether_it_went_out(client: Client) -> None:
    clinic = Clinic()
    released = CaseResultFactory(case__batch__organisation=clinic.organisation).case
    client.force_login(MembershipFactory(organisation=clinic.organisation).user)

    def page() -> str:
        return client.get(reverse("cases:case", args=[released.pk])).content.decode()

    assert "The letter to the patient" not in page()
    good(clinic.post(f"/cases/{released.pk}/release"))
    assert "The letter to the patient is about to go out." in page()
    go_out()
    sent_at = Message.objects.get().sent_at
    assert sent_at is not None
    assert f"The letter to the patient went out {timezone.localtime(sent_at):%-d %b %Y, %H:%M}." in page()
    Message.objects.update(state=Message.State.FAILED, error="no such address", sent_at=None)
    assert "The letter to the patient went out" not in page()
    assert "The letter to the patient is about" not in page()


def test_a_link_that_wrong_dates_have_locked_is_told_and_opens_once_the_date_is_corrected(client: Client) -> None:
    clinic = Clinic()
    patient = PatientFactory(organisation=clinic.organisation, date_of_birth=date(1961, 2, 3))
    released = CaseResultFactory(case__patient=patient, case__batch__organisation=clinic.organisation).case
    assert good(clinic.post(f"/cases/{released.pk}/release"))["notified"] is True
    link = find_link(make_result_link(case=released))
    assert link is not None
    born = date(1960, 2, 3)
    for _ in range(TRIES):
        assert not open_link(link=link, date_of_birth=born)

    again = good(clinic.post(f"/cases/{released.pk}/release"))
    assert (again["notified"], again["problem"]["code"]) == (False, "link_locked")
    client.force_login(MembershipFactory(organisation=clinic.organisation).user)
    assert again["problem"]["detail"] in client.get(reverse("cases:case", args=[released.pk])).content.decode()

    correct_patient(actor=SYSTEM, patient=patient, email=patient.email, date_of_birth=born)
    assert good(clinic.post(f"/cases/{released.pk}/release"))["notified"] is True
    link = ResultLink.objects.select_related("case__patient").get()
    assert open_link(link=link, date_of_birth=born)


@pytest.mark.parametrize("by", ["manifest", "administrator"])
@pytest.mark.parametrize("unknown", [{"date_of_birth": None}, {"email": ""}, {"email": "", "date_of_birth": None}])
def test_a_letter_goes_out_once_what_it_wanted_is_known(by: str, unknown: dict[str, Any]) -> None:
    clinic = Clinic()
    patient = PatientFactory(organisation=clinic.organisation, external_id="P", **unknown)
    released = CaseResultFactory(case__patient=patient, case__batch__organisation=clinic.organisation).case
    good(clinic.post(f"/cases/{released.pk}/release"))
    doubtful = MessageFactory(case__patient=patient, state=Message.State.FAILED, error=UNKNOWN)
    go_out()
    assert good(clinic.post(f"/cases/{released.pk}/release"))["notified"] is False

    if by == "manifest":
        known = {"patient_email": "anna@home.example", "patient_date_of_birth": "1960-02-03"}
        said = {name: value for name, value in known.items() if name.removeprefix("patient_") in unknown}
        clinic.create(case("next", patient_id="P", **said))
    else:
        email = patient.email or "anna@home.example"
        correct_patient(actor=SYSTEM, patient=patient, email=email, date_of_birth=date(1960, 2, 3))

    assert good(clinic.post(f"/cases/{released.pk}/release"))["notified"] is True
    go_out()
    letter = released.messages.get()
    assert (letter.state, letter.recipient) == (Message.State.SENT, patient.email or "anna@home.example")
    doubtful.refresh_from_db()
    assert doubtful.state == Message.State.FAILED  # it may have arrived: a person decides
