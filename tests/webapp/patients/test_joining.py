"""Who may come in at a clinic's door for patients, and where people without a password sign in."""

import re
import uuid
from datetime import date, timedelta
from urllib.parse import urlencode

import pytest
from django.core import mail
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from tests.factories import MembershipFactory, OrganisationFactory, PatientFactory, UserFactory
from webapp.accounts.consent import join_as_patient
from webapp.accounts.models import Patient, User
from webapp.cases.models import Case
from webapp.patients.words import TRAINING

pytestmark = pytest.mark.django_db
BORN = {"day": "27", "month": "3", "year": "1964"}


@pytest.mark.parametrize("known", [False, True])
def test_joining_needs_a_code_a_date_of_birth_and_agreement(client: Client, known: bool) -> None:
    cache.clear()  # the limits of how often a code may be asked for
    clinic = OrganisationFactory(slug="skin-clinic")
    if known:
        UserFactory(email="new@home.example")
    assert clinic.name in client.get("/join/skin-clinic/").content.decode()
    assert "Enter your e-mail address." in client.post("/join/skin-clinic/", {"email": ""}).content.decode()
    assert "like name@example.org." in client.post("/join/skin-clinic/", {"email": "new"}).content.decode()
    client.post("/join/skin-clinic/", {"email": "New@home.example"})
    assert User.objects.filter(email__iexact="new@home.example").count() == 1
    assert "_auth_user_id" not in client.session
    code = re.search(r"^\s*([A-Z0-9]{3,}(?:-?[A-Z0-9]+)*)\s*$", str(mail.outbox[-1].body), re.MULTILINE)
    assert code is not None, mail.outbox[-1].body
    page = client.post("/account/login/code/confirm/?next=/join/skin-clinic/", {"code": code.group(1)})
    assert page["Location"] == "/join/skin-clinic/"
    assert "What is your date of birth?" in client.get("/join/skin-clinic/").content.decode()
    refused = client.post("/join/skin-clinic/", BORN).content.decode()
    assert "Tick the box if you agree." in refused
    assert not Patient.objects.exists()
    assert client.post("/join/skin-clinic/", {**BORN, "agree": "on"})["Location"] == "/my/photo/?clinic=skin-clinic"
    patient = Patient.objects.get()
    assert (patient.organisation, patient.date_of_birth) == (clinic, date(1964, 3, 27))
    assert patient.consented_at is not None
    assert client.get("/join/skin-clinic/")["Location"] == "/my/"


def test_joining_finds_what_the_clinic_has_by_address_and_date_and_asks_once() -> None:
    clinic = OrganisationFactory()
    born = date(1964, 3, 27)
    known = PatientFactory(organisation=clinic, email="me@home.example", date_of_birth=born)
    PatientFactory(email="me@home.example", date_of_birth=born)  # of another clinic
    wrong, right = UserFactory(email="me@home.example"), UserFactory(email="x@home.example")
    first = join_as_patient(user=wrong, organisation=clinic, date_of_birth=date(1999, 1, 1))
    assert first != known
    assert join_as_patient(user=wrong, organisation=clinic, date_of_birth=born) == first
    assert join_as_patient(user=right, organisation=clinic, date_of_birth=born) not in (known, first)
    first.delete()
    assert join_as_patient(user=wrong, organisation=clinic, date_of_birth=born) == known


def test_staff_are_told_that_the_page_is_for_patients(client: Client) -> None:
    member = MembershipFactory()
    client.force_login(member.user)
    assert "member of staff" in client.get(f"/join/{member.organisation.slug}/").content.decode()
    assert client.get("/my/").status_code == 403


@pytest.mark.parametrize(("years", "days", "let_in"), [(18, 0, True), (18, -1, False), (4, 0, False)])
def test_a_child_is_sent_to_the_clinics_telephone(client: Client, years: int, days: int, let_in: bool) -> None:
    clinic = OrganisationFactory(help_phone="01632 960 001")
    client.force_login(UserFactory())
    today = timezone.localdate()
    born = date(today.year - years, today.month, min(today.day, 28)) - timedelta(days=days)
    form = {"day": born.day, "month": born.month, "year": born.year, "agree": "on"}
    assert "18 or older" in client.get(f"/join/{clinic.slug}/").content.decode()
    page = client.post(f"/join/{clinic.slug}/", form)
    assert Patient.objects.exists() == let_in
    if not let_in:
        assert f"Please call {clinic.name}: 01632 960 001." in page.content.decode()


@pytest.mark.parametrize("path", ["/my/", "/my/photo/"])
def test_a_patient_signs_in_with_a_code_and_comes_back(client: Client, path: str) -> None:
    """They have no password; staff have one."""
    cache.clear()  # the limits of how often a code may be asked for
    patient = PatientFactory(user=UserFactory())
    page = client.get(path, follow=True)
    assert page.redirect_chain == [(f"/account/login/code/?next={path}", 302)]
    assert f'name="next" value="{path}"' in page.content.decode()
    page = client.post("/account/login/code/", {"email": patient.user.email, "next": path})
    assert page["Location"] == f"/account/login/code/confirm/?{urlencode({'next': path})}"
    assert client.get("/batches/")["Location"] == "/account/login/?next=/batches/"


@pytest.mark.parametrize("signed_in_as", ["nobody", "patient", "provider"])
def test_the_pages_of_an_account_have_the_large_type_of_patients_but_for_staff(
    client: Client, signed_in_as: str
) -> None:
    if signed_in_as != "nobody":
        client.force_login(MembershipFactory().user if signed_in_as == "provider" else UserFactory())
    path = reverse("account_request_login_code" if signed_in_as == "nobody" else "account_email")
    large = '<body class="for-patients"' in client.get(path).content.decode()
    assert large == (signed_in_as != "provider")


def test_who_comes_from_a_clinics_door_sends_to_it_and_nobody_to_one_by_chance(client: Client) -> None:
    """Of two clinics the first in the alphabet is not chosen for who does not look."""
    patient = PatientFactory(user=UserFactory(), organisation__name="A clinic")
    client.force_login(patient.user)
    second = OrganisationFactory(name="B clinic", slug="b-clinic")
    joined = client.post("/join/b-clinic/", {**BORN, "agree": "on"})
    there = Patient.objects.get(organisation=second)
    assert f'<option value="{there.pk}" selected>B clinic</option>' in client.get(joined["Location"]).content.decode()
    form = client.get("/my/photo/").content.decode()
    assert '<option value="">Choose a clinic</option>' in form
    assert "selected" not in form
    file = SimpleUploadedFile("IMG_1.jpg", b"a photo", content_type="image/jpeg")
    page = client.post("/my/photo/", {"key": str(uuid.uuid4()), "photos": [file]}).content.decode()
    assert "Choose the clinic that should see it." in page
    assert not Case.objects.exists()


@pytest.mark.parametrize("staff", [False, True])
def test_whoever_has_a_new_address_finds_where_to_change_it(client: Client, staff: bool) -> None:
    client.force_login(MembershipFactory().user if staff else PatientFactory(user=UserFactory()).user)
    page = client.get("/", follow=True).content.decode()
    assert f'href="{reverse("account_email")}"' in page


def test_people_are_told_who_looks_at_their_photos_before_they_agree_and_wherever_they_can_change_it(
    client: Client,
) -> None:
    clinic = OrganisationFactory(slug="skin-clinic")
    client.force_login(UserFactory())
    before = client.get("/join/skin-clinic/").content.decode().partition('name="training"')[0]
    client.post("/join/skin-clinic/", {**BORN, "agree": "on"})
    assert Patient.objects.get().organisation == clinic
    for page in (before, client.get("/my/").content.decode()):
        for sentence in TRAINING:
            assert escape(sentence) in page
    assert 'href="/my/#training"' in client.get("/my/photo/").content.decode()
