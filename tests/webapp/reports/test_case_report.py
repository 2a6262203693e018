"""One case as a PDF: what it says, that it can be read by everybody, and who may have it."""

from typing import Any

import pypdfium2
import pytest
from django.test import Client as Browser
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    ImageFactory,
    JobFactory,
    MembershipFactory,
    ReleaseFactory,
    ResultFactory,
    UserFactory,
)
from tests.webapp.api.clinic import Clinic, good, problem
from tests.webapp.reports.pdf import accessible, text
from tests.webapp.reports.scenes import answered, refused, reviewed
from webapp import storage
from webapp.accounts.models import Membership, Patient
from webapp.audit.models import Event
from webapp.cases.models import Batch, Case, Image

pytestmark = pytest.mark.django_db

# A word in every script that the fonts are there for.
SCRIPTS = (
    "Ärztin Ελένη Привет שלום مرحبا नमस्ते বাংলা ਪੰਜਾਬੀ ગુજરાતી ଓଡ଼ିଆ தமிழ் తెలుగు ಕನ್ನಡ മലയാളം සිංහල ไทย ລາວ မြန်မာ ខ្មែរ "
    "አማርኛ Հայերեն ქართული 김민준 김철수 皮膚科 请在两周内预约 ひらがな カタカナ"
)


def report(case: Case) -> Any:
    response = Clinic(case.organisation).get(f"/cases/{case.pk}/report.pdf")
    assert response.status_code == 200
    return response


def test_it_says_what_is_advised_first_and_where_the_answer_comes_from() -> None:
    case = answered(external_id="A-1", notes="Changed in summer.\nItches.", lesion_id="L-7")
    response = report(case)
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"] == f'inline; filename="case-{case.pk}.pdf"'
    words = text(response.content)
    release = case.results.get().release
    in_order = [
        case.organisation.name, "Case A-1", case.patient.external_id, "Lower back", "Itches.",
        "Urgent referral", "P(malignant) 74% ± 5", "within two weeks", "holds where 20% of the pictures are malignant",
        "Not yet reviewed by a clinician",
        "Melanoma (malignant)", "60%", "(pre-malignant)", "about 74 are skin", "Picture 1:",
        release.name, release.bundle_sha256,
    ]  # fmt: skip
    places = [words.find(piece) for piece in in_order]
    assert -1 not in places, in_order[places.index(-1)]
    assert places == sorted(places)
    assert "never replaces it. It is not a diagnosis." in words

    document = pypdfium2.PdfDocument(response.content)
    assert document.get_metadata_dict()["Title"] == "Case A-1"
    assert accessible(response.content)
    assert b"/Lang" in response.content
    assert len([o for page in document for o in page.get_objects() if type(o) is pypdfium2.PdfImage]) == 2
    event = Event.objects.get(action="case.results_exported")
    assert (event.object_id, event.detail, event.organisation) == (str(case.pk), "PDF", case.organisation)


@pytest.mark.parametrize("source", [Batch.Source.API, Batch.Source.PATIENT])
def test_the_lesion_of_a_photo_from_a_phone_has_no_id_that_a_clinic_gave(
    client: Browser, provider: Membership, source: str
) -> None:
    case = answered(BatchFactory(completed=True, organisation=provider.organisation, source=source), lesion_id="L-7")
    software, said = Clinic(case.organisation), source == Batch.Source.API

    assert ("L-7" in text(report(case).content)) == said
    assert ("L-7" in client.get(f"/cases/{case.pk}/").content.decode()) == said
    for table in ("csv", "json"):
        streamed = software.get(f"/batches/{case.batch_id}/results.{table}")
        assert (b"L-7" in b"".join(streamed)) == said
    assert software.get(f"/cases/{case.pk}").json()["lesion_id"] == "L-7"  # by which software knows the spot again


def test_a_review_shows_with_its_note_and_an_automatic_release_is_none() -> None:
    case = answered()
    Case.objects.filter(pk=case.pk).update(released_at=timezone.now())
    assert "Not yet reviewed by a clinician: released automatically" in text(report(case).content)
    words = text(report(reviewed(case, "Come on Monday.\nBring a list.")).content)
    assert "Reviewed and released by dr@clinic.example" in words
    assert "Come on Monday.\nBring a list." in words
    assert "Not yet reviewed" not in words


def test_every_script_of_the_fonts_is_shown_and_others_break_nothing() -> None:
    case = reviewed(answered(external_id=SCRIPTS[:100]), SCRIPTS)
    pdf = report(case).content
    assert accessible(pdf), "a character has no glyph"
    assert "皮膚科 请在两周内预约" in text(pdf)
    Case.objects.filter(pk=case.pk).update(external_id="smiling \U0001f600 #panic[x] *bold* \\ $x$")
    pdf = report(case).content
    assert not accessible(pdf)
    assert "#panic[x] *bold* \\ $x$" in text(pdf)  # nobody's words are markup


def test_doubts_are_said_beside_the_answer() -> None:
    case = answered(pictures=2, capture=Case.Capture.PHONE)
    image = case.images.first()
    assert image
    flags = [{"code": "not_a_lesion", "advice": "We see no lesion in this picture.", "value": 1}]
    case.images.filter(pk=image.pk).update(quality=flags, quality_overridden_by=MembershipFactory().user)
    words = " ".join(text(report(case).content).split())
    assert "Phone photo: the model learnt from dermoscopic pictures" in words
    assert "The model saw no lesion in picture 1 and answered only because a provider insisted" in words
    assert "Used against the advice of the quality check: We see no lesion in this picture." in words
    assert words.count("On its own: Melanoma") == 2
    assert words.count(f"{case.external_id}, patient {case.patient.external_id}, ") == 2  # a page that goes astray


def test_a_picture_of_two_cases_is_said_to_be_one_and_the_other_is_not_named() -> None:
    case = answered(pictures=2)
    used, refused = case.images.all()
    told = "Case left arm of Doe of this batch came with this picture, too"
    flags = [{"code": "in_two_cases", "advice": f"{told}."}]
    case.images.filter(pk=used.pk).update(quality=flags)
    case.images.filter(pk=refused.pk).update(
        state=Image.State.REJECTED, reason="in_two_cases", advice=f"{told}, so it answers neither.", quality=flags
    )
    words = " ".join(text(report(case).content).split())
    assert words.count("Another case of this batch came with this picture, too") == 2
    assert "Doe" not in words
    assert "Used against the advice" not in words


def test_a_picture_that_the_model_did_not_answer_is_said_to_be_left_out(client: Browser, provider: Membership) -> None:
    case = answered(BatchFactory(completed=True, organisation=provider.organisation), pictures=2)
    told = "The model gave no answer for this picture, so the result leaves it out."
    assert told not in client.get(f"/cases/{case.pk}/").content.decode()
    ImageFactory(case=case, ready=True)
    assert client.get(f"/cases/{case.pk}/").content.decode().count(told) == 1
    words = " ".join(text(report(case).content).split())
    assert "Picture 3 has no answer by the model: the result leaves it out." in words


def test_what_software_insists_on_is_used_against_advice_too(client: Browser, provider: Membership) -> None:
    """Which person insisted is not known then."""
    case = answered(BatchFactory(completed=True, organisation=provider.organisation))
    said = "The picture is blurred. Send a sharper one."
    flags = [{"code": "blurred", "advice": said, "value": 1}]
    case.images.update(state=Image.State.REJECTED, reason="blurred", advice=said, quality=flags)
    good(Clinic(case.organisation).post(f"/images/{case.images.get().pk}/override-quality"))
    page = client.get(f"/cases/{case.pk}/").content.decode()
    assert "Used against the advice of the quality check</div>" in page
    words = " ".join(text(report(case).content).split())
    assert f"Used against the advice of the quality check: {said}" in words


def test_an_id_that_this_site_made_up_is_no_patients(client: Browser, provider: Membership) -> None:
    batch = BatchFactory(completed=True, organisation=provider.organisation)
    case = answered(batch, patient__external_id=f"{Patient.UNNAMED}f00")
    words, page = text(report(case).content), client.get(f"/cases/{case.pk}/").content.decode()
    assert f"{case.external_id}, {case.organisation.name}" in " ".join(words.split())
    assert Patient.UNNAMED not in words
    assert "<dt>Patient</dt><dd>not named; kept as <code" in page


def test_a_newer_answer_for_a_picture_is_not_told_beside_the_one_that_holds() -> None:
    case = reviewed(answered(pictures=2))
    for image in case.images.all():
        ResultFactory(job=JobFactory(image=image, succeeded=True), release=ReleaseFactory(), malignant=0.01)
    words = text(report(case).content)
    assert words.count("On its own: Melanoma, P(malignant) 74% ± 5.") == 2


def test_a_case_without_a_result_or_without_its_files_has_a_report_too() -> None:
    case = answered()
    image = case.images.get()
    storage.delete(image.clean_key)
    assert "Urgent referral" in text(report(case).content)
    words = text(report(refused(BatchFactory(completed=True))).content)
    assert "Not usable" in words
    assert "There is no answer by the model" in words
    assert "The picture is blurred. Please take it again." in words
    assert "Where this answer comes from" not in words


@pytest.mark.parametrize("form", ["report.pdf", "fhir"])
def test_only_the_clinic_and_its_providers_may_have_it(form: str) -> None:
    case = answered(pictures=0, released_at=timezone.now())
    patient = UserFactory()
    Patient.objects.filter(pk=case.patient_id).update(user=patient)
    provider, annotator = (
        MembershipFactory(organisation=case.organisation, role=role).user
        for role in (Membership.Role.PROVIDER, Membership.Role.ANNOTATOR)
    )
    for path in (f"/cases/{case.pk}/{form}", f"/batches/{case.batch_id}/{form}"):
        problem(Clinic().get(path), 404)
        for user, status in ((provider, 200), (annotator, 403), (patient, 403)):
            browser = Browser()
            browser.force_login(user)
            assert browser.get(f"/api/v1{path}").status_code == status
