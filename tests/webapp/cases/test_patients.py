"""Whose a case is: one `patient_id` is one person, and without one nobody is taken for somebody else."""

from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import CaseResultFactory, MembershipFactory, MessageFactory, PatientFactory, UserFactory
from tests.ml.imaging.samples import encode, skin_photo, zipped
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.cases.zips import expand_next, sent
from tests.webapp.elsewhere import at_once
from webapp.accounts.models import Patient
from webapp.accounts.services import correct_patient, follow_account
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.models import Archive, Batch, Case
from webapp.notify.letters import UndeliverableError, compose
from webapp.notify.models import Message

pytestmark = pytest.mark.django_db
ANNA = {"patient_email": "anna@home.example", "patient_date_of_birth": "1960-02-03"}
BERT = {"patient_email": "bert@home.example", "patient_date_of_birth": "1971-04-05"}


def unnamed(name: str, **fields: Any) -> dict[str, Any]:
    row = case(name, **fields)
    del row["patient_id"]
    return row


def whose() -> dict[str, Patient]:
    return {row.external_id: row.patient for row in Case.objects.select_related("patient")}


def test_a_case_number_that_comes_again_is_another_patient() -> None:
    clinic = Clinic()
    for person in (ANNA, BERT, {}):
        clinic.create(unnamed("1", **person))

    found = [(row.patient_id, row.patient.email) for row in Case.objects.order_by("created_at")]

    assert len({patient for patient, _ in found}) == 3
    assert [email for _, email in found] == ["anna@home.example", "bert@home.example", ""]


def test_cases_of_one_request_share_a_patient_only_by_lesion_and_person() -> None:
    clinic = Clinic()
    clinic.create(
        unnamed("1", lesion_id="L", **ANNA), unnamed("2", lesion_id="L", **ANNA), unnamed("3", lesion_id="L", **BERT),
        unnamed("4", lesion_id="L"), unnamed("L"), unnamed("6"), case("7", patient_id="L"),
    )  # fmt: skip

    people = whose()

    assert people["1"] == people["2"]
    assert len(set(people.values())) == 6
    assert people["3"].email == "bert@home.example"
    assert people["4"].email == ""


def test_a_patient_without_a_name_can_be_told_apart_and_found(client: Client) -> None:
    clinic = Clinic()
    client.force_login(MembershipFactory(organisation=clinic.organisation).user)
    batch = clinic.create(unnamed("1"), unnamed("2"))
    named = [row["patient_id"] for row in good(clinic.get("/cases", batch=batch["id"]))["results"]]

    assert all(name.startswith("unnamed-") for name in named)
    page = client.get(reverse("cases:batch", args=[batch["id"]])).content.decode()
    assert not any(name in page for name in named)  # as long as a case's own line, and saying nothing
    page = client.get(reverse("cases:case", args=[Case.objects.earliest("created_at").pk])).content.decode()
    assert any(name in page for name in named)
    for name in named:
        assert len(good(clinic.get("/cases", patient_id=name))["results"]) == 1


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"patient_email": "bert@home.example"}, ["patient_email"]),
        ({"patient_date_of_birth": "1971-04-05"}, ["patient_date_of_birth"]),
        (BERT, ["patient_email", "patient_date_of_birth"]),
    ],
)
def test_a_known_patient_is_never_somebody_else(said: dict[str, str], fields: list[str]) -> None:
    clinic = Clinic()
    clinic.create(case("a", **ANNA))

    answer = clinic.post("/batches", {"cases": [case("b"), case("c", **said), case("d", patient_id="new")]})

    refused = problem(answer, 422)
    assert refused["code"] == "patient_conflict"
    assert refused["conflicts"] == [{"case_id": "c", "field": field} for field in fields]
    assert "c (" in refused["detail"]
    assert "a provider changes what is known, on the page of a case" in refused["detail"]
    assert not any(value in answer.content.decode() for value in ANNA.values())
    assert (Batch.objects.count(), Case.objects.count(), Patient.objects.count()) == (1, 1, 1)
    assert Patient.objects.get().email == "anna@home.example"


def test_a_clinic_goes_on_saying_the_address_that_it_knows_of_a_patient_who_chose_another() -> None:
    clinic = Clinic()
    clinic.create(case("a", **ANNA))
    user = UserFactory()
    Patient.objects.update(user=user)
    for chosen in ("new@home.example", "newer@home.example"):
        follow_account(user=user, email=chosen)

    batch = clinic.create(case("b", **ANNA), case("c", **{**ANNA, "patient_email": "newer@home.example"}))
    good(clinic.post(f"/batches/{batch['id']}/cases", {"cases": [case("b", **ANNA)]}))  # a repeat
    assert Patient.objects.get().email == "newer@home.example"
    for stranger in ("new@home.example", "bert@home.example"):
        answer = clinic.post("/batches", {"cases": [case("d", **{**ANNA, "patient_email": stranger})]})
        assert problem(answer, 422)["code"] == "patient_conflict"

    patient = Patient.objects.get()
    correct_patient(actor=SYSTEM, patient=patient, email=patient.email, date_of_birth=None)
    clinic.create(case("e", patient_email="anna@home.example"))
    correct_patient(actor=SYSTEM, patient=patient, email="newest@home.example", date_of_birth=None)
    assert problem(clinic.post("/batches", {"cases": [case("d", **ANNA)]}), 422)["code"] == "patient_conflict"


def test_cases_sent_together_agree_on_their_patient() -> None:
    clinic = Clinic()
    refused = problem(clinic.post("/batches", {"cases": [case("a", **ANNA), case("b"), case("c", **BERT)]}), 422)
    assert {conflict["case_id"] for conflict in refused["conflicts"]} == {"c"}
    assert not Patient.objects.exists()

    many = [case("a", **ANNA), *(case(f"c{n}", **BERT) for n in range(80))]
    refused = problem(clinic.post("/batches", {"cases": many}), 422)
    assert (refused["conflict_count"], len(refused["conflicts"])) == (160, 100)
    assert "and 150 more" in refused["detail"]


def test_an_open_batch_and_a_table_are_held_to_the_same() -> None:
    clinic = Clinic()
    batch = clinic.create(case("a", **ANNA))
    further = {"cases": [case("b", **BERT)]}
    table = b"case_id,patient_id,email,images\nb,patient-1,bert@home.example,b.jpg\n"

    assert problem(clinic.post(f"/batches/{batch['id']}/cases", further), 422)["code"] == "patient_conflict"
    sent = clinic.http.post("/api/v1/batches", table, "text/csv")
    assert problem(sent, 422)["conflicts"] == [{"case_id": "b", "field": "patient_email"}]
    assert Case.objects.count() == 1


def test_what_says_the_same_or_nothing_goes_in_and_what_was_missing_is_added() -> None:
    clinic = Clinic()
    clinic.create(case("a"))
    clinic.create(case("b", patient_email="anna@home.example"))
    clinic.create(case("c", patient_email="Anna@Home.example", patient_date_of_birth="1960-02-03"))
    clinic.create(case("d", **ANNA), case("e"))

    patient = Patient.objects.get()

    assert (patient.email, str(patient.date_of_birth)) == ("anna@home.example", "1960-02-03")


def test_a_patient_of_another_clinic_is_not_known_here() -> None:
    Clinic().create(case("a", **ANNA))
    Clinic().create(case("a", **BERT))
    assert Patient.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_batches_at_once_do_not_both_say_who_somebody_is() -> None:
    clinic = Clinic()
    clinic.create(case("a"))

    def send(person: dict[str, str]) -> int:
        return int(Clinic(clinic.organisation).post("/batches", {"cases": [case("b", **person)]}).status_code)

    assert sorted(at_once(send, [ANNA, BERT])) == [201, 422]


@pytest.mark.django_db(transaction=True)
def test_a_zip_is_held_to_the_same() -> None:
    clinic = Clinic()
    clinic.create(case("a", **ANNA))
    photo = encode(skin_photo(160, 120), "JPEG")
    table = b"case_id,patient_id,email,images\nb,patient-1,bert@home.example,b.jpg\n"

    for files in ({"IMG_0001.jpg": photo}, {"IMG_0001.jpg": photo}, {"cases.csv": table, "b.jpg": photo}):
        sent(clinic, zipped(files))
        expand_next()

    assert len({row.patient_id for row in Case.objects.filter(external_id="IMG_0001")}) == 2
    refused = Archive.objects.get(state=Archive.State.REFUSED)
    assert refused.reason == "patient_conflict"
    assert "b (patient_email)" in refused.report[0]["message"]
    assert not refused.batch.cases.exists()


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ({"email": "", "date_of_birth": None}, "no_email"),
        ({"email": ""}, "no_email"),
        ({"date_of_birth": None}, "no_date_of_birth"),
    ],
)
def test_a_release_that_nobody_is_told_of_says_why(missing: dict[str, Any], code: str) -> None:
    clinic = Clinic()
    patient = PatientFactory(organisation=clinic.organisation, **missing)
    answer = CaseResultFactory(case__patient=patient, case__batch__organisation=clinic.organisation)

    for _ in range(2):
        released = good(clinic.post(f"/cases/{answer.case_id}/release"))
        assert released["review"]["state"] == "released"
        assert (released["notified"], released["problem"]["code"]) == (False, code)
        assert released["problem"]["detail"].endswith(".")


def test_an_administrator_corrects_a_patient_and_letters_follow(client: Client) -> None:
    waiting = MessageFactory(state=Message.State.FAILED, error="no such address")
    patient = waiting.case.patient
    sent = MessageFactory(case__patient=patient, state=Message.State.SENT, sent_at=timezone.now())
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    page = reverse("admin:accounts_patient_change", args=[patient.pk])

    assert patient.external_id in client.get(reverse("admin:accounts_patient_changelist")).content.decode()
    assert client.get(page).status_code == 200
    assert client.post(page, {"email": "new@home.example", "date_of_birth": "1961-01-01"}).status_code == 302

    patient.refresh_from_db()
    assert (patient.email, str(patient.date_of_birth)) == ("new@home.example", "1961-01-01")
    assert Event.objects.filter(action="patient.corrected", object_id=str(patient.pk)).count() == 1
    waiting.refresh_from_db()
    assert compose(waiting).to == ["new@home.example"]
    sent.refresh_from_db()
    assert (sent.state, sent.recipient, sent.sent_at) == (Message.State.PENDING, "new@home.example", None)


def test_a_letter_that_had_no_address_is_written_when_the_address_is_added() -> None:
    clinic = Clinic()
    patient = PatientFactory(organisation=clinic.organisation, email="")
    released, waiting = (
        CaseResultFactory(case__patient=patient, case__batch__organisation=clinic.organisation).case for _ in range(2)
    )
    good(clinic.post(f"/cases/{released.pk}/release"))

    for _ in range(2):
        correct_patient(actor=SYSTEM, patient=patient, email="new@home.example", date_of_birth=date(1960, 2, 3))
    letter = Message.objects.get(case__patient=patient)
    assert (letter.case, letter.recipient) == (released, "new@home.example")
    again = good(clinic.post(f"/cases/{released.pk}/release"))
    assert (again["notified"], again["problem"]) == (True, None)
    assert not Message.objects.filter(case=waiting).exists()


def test_a_letter_whose_address_was_taken_away_is_not_sent() -> None:
    message = MessageFactory()
    correct_patient(actor=SYSTEM, patient=message.case.patient, email="", date_of_birth=date(1960, 2, 3))
    message.refresh_from_db()
    with pytest.raises(UndeliverableError, match="address is missing"):
        compose(message)


def test_only_administrators_correct_patients(client: Client) -> None:
    patient = PatientFactory()
    client.force_login(MembershipFactory(organisation=patient.organisation).user)
    assert client.get(reverse("admin:accounts_patient_change", args=[patient.pk]), follow=True).status_code == 403
