"""What people and their software see of a case before it is erased, and what is left to see of it after."""

import csv
import io
import re

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from urllib3.util import parse_url

from tests.factories import ArchiveFactory, BatchFactory, CaseFactory, ImageFactory, MembershipFactory, PatientFactory
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.reports.pdf import text
from tests.webapp.reports.scenes import answered, jpeg, reviewed
from webapp.accounts.models import Membership
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.erasure import erase_case
from webapp.cases.models import Case

pytestmark = pytest.mark.django_db


def of_clinic(member: Membership) -> Case:
    """A case of the clinic, with two pictures and a result that its patient has."""
    patient = PatientFactory(organisation=member.organisation, external_id="Bed 7 west")
    batch = BatchFactory(completed=True, organisation=member.organisation)
    return reviewed(answered(batch, pictures=2, patient=patient, external_id="Mustermann"))


def test_a_provider_is_told_what_goes_and_erases_the_case(client: Browser, provider: Membership) -> None:
    found = of_clinic(provider)
    address = reverse("cases:case", args=[found.pk])
    ask = reverse("cases:case_erase", args=[found.pk])
    assert f'{ask}?list=to_review"' in client.get(f"{address}?list=to_review").content.decode()

    asked = client.get(f"{ask}?list=to_review").content.decode()

    for words in (
        "Erase case Mustermann?",
        "2 photos with their heatmaps",
        "Bed 7 west",
        "of whom this is the only case",
    ):
        assert words in asked, words
    assert Case.objects.get().erased_at is None  # a link alone erases nothing

    page = client.post(f"{ask}?list=to_review", follow=True)

    html = page.content.decode()
    assert page.redirect_chain == [(f"{address}?list=to_review", 302)]
    assert Event.objects.get(action="case.erased").user == provider.user
    for words in ("This case was erased.", "Erased case", "Case erased", "Case viewed"):
        assert words in html, words
    for gone in ("Mustermann", "Bed 7 west", "<img", "74%", "Release"):
        assert gone not in html, gone
    assert client.get(ask).status_code == 302
    assert client.post(ask).status_code == 302


def test_it_says_where_the_patient_stays(client: Browser, provider: Membership) -> None:
    found = of_clinic(provider)
    CaseFactory(batch=found.batch, patient=found.patient)

    asked = client.get(reverse("cases:case_erase", args=[found.pk])).content.decode()

    assert "has another case or an account here" in asked
    assert "of whom this is the only case" not in asked


def test_it_waits_for_a_zip(client: Browser, provider: Membership) -> None:
    found = CaseFactory(batch__organisation=provider.organisation)
    ArchiveFactory(batch=found.batch, stored=True)

    page = client.post(reverse("cases:case_erase", args=[found.pk]), follow=True)

    assert "is being unpacked" in page.content.decode()
    clinic = Clinic(provider.organisation)
    assert problem(clinic.http.delete(f"/api/v1/cases/{found.pk}"), 409)["code"] == "archive_pending"
    assert Case.objects.get().erased_at is None


@pytest.mark.parametrize("role", ["annotator", "operator"])
def test_others_of_the_clinic_may_not(client: Browser, role: str) -> None:
    member = MembershipFactory(role=role)
    client.force_login(member.user)
    address = reverse("cases:case_erase", args=[of_clinic(member).pk])

    assert client.get(address).status_code == 403
    assert client.post(address).status_code == 403
    assert Case.objects.get().erased_at is None


def test_software_erases_a_case(provider: Membership) -> None:
    found = of_clinic(provider)
    clinic = Clinic(provider.organisation)

    for _ in range(2):
        assert clinic.http.delete(f"/api/v1/cases/{found.pk}").status_code == 204

    told = good(clinic.get(f"/cases/{found.pk}"))
    assert told["erased_at"]
    assert (told["result"], told["age"], told["notes"], told["review"]["state"]) == (None, None, "", "no_result")
    assert [image["state"] for image in told["images"]] == ["purged"] * 2
    for word in ("Mustermann", "Bed 7 west", "image-", "lower back"):
        assert word not in str(told), word
    assert Event.objects.get(action="case.erased").api_key == clinic.key
    assert good(clinic.get("/cases", case_id="Mustermann"))["results"] == []


def test_software_of_another_clinic_does_not(provider: Membership) -> None:
    found = of_clinic(provider)

    assert problem(Clinic().http.delete(f"/api/v1/cases/{found.pk}"), 404)
    assert Case.objects.get().erased_at is None


def test_a_patient_does_not_see_it_any_more(client: Browser, provider: Membership) -> None:
    found = of_clinic(provider)
    user = MembershipFactory().user
    user.membership.delete()
    found.patient.user = user
    found.patient.save()
    client.force_login(user)
    assert reverse("patient:case", args=[found.pk]) in client.get(reverse("patient:home")).content.decode()

    erase_case(actor=SYSTEM, case=found)

    home = client.get(reverse("patient:home"))
    assert home.status_code == 200
    assert str(found.pk) not in home.content.decode()
    assert client.get(reverse("patient:case", args=[found.pk])).status_code == 404


def test_pages_and_reports_of_the_batch_show_an_empty_row(client: Browser, provider: Membership) -> None:
    found, other = of_clinic(provider), CaseFactory(batch__organisation=provider.organisation)
    Case.objects.filter(pk=other.pk).update(batch=found.batch, external_id="another")
    erase_case(actor=SYSTEM, case=found)
    clinic = Clinic(provider.organisation)

    html = client.get(reverse("cases:batch", args=[found.batch_id])).content.decode()
    assert "Erased" in html
    assert "Mustermann" not in html
    assert not re.search(r'rel="(prev|next)"', client.get(reverse("cases:case", args=[other.pk])).content.decode())
    assert "Erased" in text(clinic.get(f"/batches/{found.batch_id}/report.pdf").content)
    assert "Erased" in text(clinic.get(f"/cases/{found.pk}/report.pdf").content)
    for path in (f"/cases/{found.pk}/fhir", f"/batches/{found.batch_id}/fhir"):
        assert b"Mustermann" not in b"".join(clinic.get(path).streaming_content)
    table = b"".join(clinic.get(f"/batches/{found.batch_id}/results.csv").streaming_content).decode()
    rows = {row["case"]: row for row in csv.DictReader(io.StringIO(table))}
    assert [rows[str(one.pk)]["status"] for one in (found, other)] == ["erased", "no_result"]
    assert good(clinic.get(f"/batches/{found.batch_id}"))["progress"]["total"] == 2


def test_who_sends_the_id_again_into_the_open_batch_sends_a_new_case() -> None:
    clinic = Clinic()
    batch = clinic.create(case("1"), case("2"))
    erased = Case.objects.get(external_id="1")
    erase_case(actor=SYSTEM, case=erased)

    refused = problem(clinic.post(f"/batches/{batch['id']}/cases", {"cases": [case("1"), case("2")]}), 422)
    assert (refused["code"], refused["case_ids"]) == ("case_id_repeated", ["2"])
    [image] = good(clinic.post(f"/batches/{batch['id']}/cases", {"cases": [case("1")]}), 201)
    clinic.upload(image, jpeg())

    again = Case.objects.get(external_id="1")
    assert again.pk != erased.pk
    assert list(erased.images.values_list("state", flat=True)) == ["purged"]
    assert again.images.get().state == "stored"


def test_an_upload_for_an_erased_case_is_not_taken() -> None:
    clinic = Clinic()
    [image] = clinic.create(case("1"))["images"]
    erase_case(actor=SYSTEM, case=Case.objects.get())

    url = parse_url(image["upload"]["url"]).request_uri
    assert problem(clinic.http.put(url, jpeg(), "application/octet-stream"), 409)["code"] == "not_awaited"
    assert good(clinic.post(f"/images/{image['id']}/complete"))["state"] == "purged"
    problem(clinic.post(f"/images/{image['id']}/upload-url"), 409)
    problem(clinic.post(f"/images/{image['id']}/override-quality"), 409)


def test_many_photos_cost_no_more_queries_than_one() -> None:
    counts = []
    for photos in (1, 4):
        found = CaseFactory(batch__submitted=True, batch__remaining=photos + 1)
        ImageFactory.create_batch(photos, case=found, stored=True)
        with CaptureQueriesContext(connection) as queries:
            erase_case(actor=SYSTEM, case=found)
        counts.append(len(queries))
    assert counts[0] == counts[1]
