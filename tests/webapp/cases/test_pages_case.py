"""A provider's page of one case, and the pictures themselves."""

from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ml.imaging.overlay import pack
from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    JobFactory,
    MembershipFactory,
    PatientFactory,
    ReleaseFactory,
    ResultFactory,
    UserFactory,
)
from tests.webapp.reports.scenes import jpeg
from webapp import storage
from webapp.accounts.models import Organisation
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.models import Case, Image
from webapp.cases.services import cancel_batch
from webapp.inference.models import Result
from webapp.labels.models import Consensus
from webapp.notify.models import Message

pytestmark = pytest.mark.django_db


def answered(organisation: Organisation, **case: Any) -> Case:
    """A case with one image, its answer, and the picture files."""
    batch = case.pop("batch", None) or BatchFactory(organisation=organisation, completed=True)
    image = ImageFactory(case=CaseFactory(batch=batch, **case), ready=True)
    release = ReleaseFactory()
    ResultFactory(job=JobFactory(image=image, succeeded=True), release=release)
    CaseResultFactory(case=image.case, release=release)
    storage.write(image.clean_key, jpeg())
    found: Case = image.case
    return found


def address(case: Case) -> str:
    return reverse("cases:case", args=[case.pk])


def test_a_case_says_what_to_do_how_sure_it_is_and_where_that_comes_from(client: Client, clinic: Organisation) -> None:
    case = answered(clinic, age=61, anatom_site="back")

    html = client.get(address(case)).content.decode()

    for words in (
        "Urgent referral", "within two weeks", "74%", "± 5", "models differ somewhat", "Melanoma",
        "P(malignant) holds where 20% of the pictures are malignant",
        case.results.get().release.name, "preprocessing", "Supports a professional", "Case viewed",
    ):  # fmt: skip
        assert words in html, words


def test_an_image_that_another_release_answered_says_so(client: Client, clinic: Organisation) -> None:
    case = answered(clinic)
    other = ResultFactory(
        job=JobFactory(image=ImageFactory(case=case, ready=True), succeeded=True), release=ReleaseFactory(name="before")
    )
    case.results.update(created_at=timezone.now())

    html = client.get(address(case)).content.decode()

    assert html.count("answered by ") == 1
    assert f"answered by {other.release.name}" in html


def test_releasing_keeps_the_note_and_tells_the_patient(client: Client, clinic: Organisation) -> None:
    case = answered(clinic)

    page = client.post(reverse("cases:case_release", args=[case.pk]), {"note": "Please call us."}, follow=True)

    case.refresh_from_db()
    assert case.released_at is not None
    assert case.review_note == "Please call us."
    assert "Please call us." in page.content.decode()
    assert Message.objects.filter(case=case, kind="result_ready").count() == 1


@pytest.mark.parametrize(
    ("missing", "words"),
    [({"email": ""}, "No e-mail address"), ({"date_of_birth": None}, "date of birth is not known")],
)
def test_releasing_to_a_patient_who_cannot_be_told_warns(
    client: Client, clinic: Organisation, missing: dict[str, Any], words: str
) -> None:
    case = answered(clinic, patient=PatientFactory(organisation=clinic, **missing))

    html = client.post(reverse("cases:case_release", args=[case.pk]), follow=True).content.decode()

    assert "The result was released." in html
    assert words in html
    assert "is told by e-mail" not in html


@pytest.mark.parametrize(("note", "sentence"), [("a\0b", "Remove control"), ("x" * 5001, "at most 5000")])
def test_a_note_that_cannot_be_kept_releases_nothing(
    client: Client, clinic: Organisation, note: str, sentence: str
) -> None:
    case = answered(clinic)

    page = client.post(reverse("cases:case_release", args=[case.pk]), {"note": note}, follow=True)

    case.refresh_from_db()
    assert case.released_at is None
    assert sentence in page.content.decode()


def test_a_case_without_a_result_cannot_be_released(client: Client, clinic: Organisation) -> None:
    case = CaseFactory(batch=BatchFactory(organisation=clinic))

    page = client.post(reverse("cases:case_release", args=[case.pk]), follow=True)

    assert "nothing to release" in page.content.decode()
    assert "Release to the patient" not in page.content.decode()


def test_what_annotators_agree_on_is_shown(client: Client, clinic: Organisation) -> None:
    case = answered(clinic)
    image = case.images.get()
    Consensus.objects.create(image=image, dx="NV", result=image.results.get(), differs=True)

    html = client.get(address(case)).content.decode()

    assert "Dermatologists agree on" in html
    assert "differs from the model" in html


@pytest.mark.parametrize(
    ("dx", "settled", "told"),
    [
        ("NV", True, "Dermatologists disagreed about this picture, and settled on <strong>Melanocytic naevus"),
        ("cannot_tell", True, "and settled on <strong>Cannot tell"),
        ("cannot_tell", False, "agree that they <strong>cannot tell</strong> from this picture"),
        ("image_problem", False, "agree that there is a <strong>problem with this picture</strong>"),
    ],
)
def test_a_disagreement_that_one_settled_and_what_is_no_class_are_not_told_as_agreement_on_one(
    client: Client, clinic: Organisation, dx: str, settled: bool, told: str
) -> None:
    case = answered(clinic)
    settled_by = UserFactory() if settled else None
    Consensus.objects.create(image=case.images.get(), dx=dx, differs=False, settled_by=settled_by)

    html = client.get(address(case)).content.decode()

    assert told in html
    assert "agree on" not in html


def test_another_clinics_case_is_not_there(client: Client, clinic: Organisation) -> None:
    case = answered(BatchFactory().organisation)
    image = case.images.get()

    assert client.get(address(case)).status_code == 404
    assert client.post(reverse("cases:case_release", args=[case.pk])).status_code == 404
    assert client.post(reverse("cases:image_override", args=[image.pk])).status_code == 404


# the pictures


def status(client: Client, image: Image, kind: str) -> int:
    return client.get(reverse("cases:image_file", args=[image.pk, kind])).status_code


@pytest.mark.parametrize(
    ("place", "heat", "said"),
    [
        ((0, 0), 1.0, "strongest at the upper left"),
        ((2, 3), 0.5, "strongest at the middle"),
        ((2, 5), 0.5, "strongest at the right"),
        ((5, 3), 0.5, "strongest at the lower middle"),
        ((2, 3), 0.05, "weak everywhere"),
    ],
)
def test_a_heatmap_says_where_it_is_strongest(
    client: Client, clinic: Organisation, place: tuple[int, int], heat: float, said: str
) -> None:
    case = answered(clinic)
    heatmap = np.zeros((6, 8), np.float32)
    heatmap[place] = heat
    Result.objects.filter(image__case=case).update(heatmap=pack(heatmap))

    html = client.get(reverse("cases:case", args=[case.pk])).content.decode()

    assert f'alt="The same picture with a heatmap of what the model looked at, {said}"' in html


def test_a_case_of_many_pictures_asks_the_database_no_more_often_than_one_of_one(
    client: Client, clinic: Organisation
) -> None:
    case = answered(clinic)
    client.get(address(case))
    with CaptureQueriesContext(connection) as of_one:
        client.get(address(case))
    for _ in range(3):
        image = ImageFactory(case=case, ready=True)
        ResultFactory(job=JobFactory(image=image, succeeded=True), release=ReleaseFactory(), heatmap=pack(np.eye(6)))
    CaseResultFactory(case=case, release=ReleaseFactory())
    client.get(address(case))  # a process asks once for what it must know of a release
    with CaptureQueriesContext(connection) as of_four:
        html = client.get(address(case)).content.decode()
    assert html.count("strongest at the upper left") == 3
    assert len(of_four) == len(of_one)


def test_a_provider_sees_every_picture_and_the_audit_knows(client: Client, clinic: Organisation) -> None:
    image = answered(clinic).images.get()

    response = client.get(reverse("cases:image_file", args=[image.pk, "clean"]))

    assert b"".join(response.streaming_content) == jpeg()  # type: ignore[attr-defined]
    assert "private" in response["Cache-Control"]
    assert [status(client, image, kind) for kind in ("thumbnail", "heatmap", "original")] == [200, 200, 404]
    details = Event.objects.filter(action="image.viewed").values_list("detail", flat=True)
    assert set(details) == {"clean", "heatmap"}


def test_an_annotator_never_sees_the_models_answer(client: Client) -> None:
    member = MembershipFactory(role="annotator")
    client.force_login(member.user)
    image = answered(member.organisation).images.get()

    assert [status(client, image, kind) for kind in ("clean", "thumbnail", "heatmap")] == [200, 200, 404]


def test_a_patient_sees_their_own_and_the_heatmap_once_released(client: Client) -> None:
    user = UserFactory()
    client.force_login(user)
    case = answered(BatchFactory().organisation)
    image = case.images.get()
    kinds = ("clean", "thumbnail", "heatmap")

    assert [status(client, image, kind) for kind in kinds] == [404, 404, 404]
    case.patient.user = user
    case.patient.save()
    assert [status(client, image, kind) for kind in kinds] == [200, 200, 404]
    Case.objects.filter(pk=case.pk).update(released_at=timezone.now())
    assert [status(client, image, kind) for kind in kinds] == [200, 200, 200]


@pytest.mark.parametrize("role", ["provider", "annotator", "operator"])
def test_strangers_see_no_picture(client: Client, role: str) -> None:
    image = answered(BatchFactory().organisation).images.get()
    client.force_login(MembershipFactory(role=role).user)

    assert {status(client, image, kind) for kind in ("clean", "thumbnail", "heatmap")} <= {403, 404}


def test_a_picture_that_was_deleted_is_not_there(client: Client, clinic: Organisation) -> None:
    image = answered(clinic).images.get()
    storage.delete(image.clean_key)

    assert status(client, image, "clean") == 404


def test_a_picture_that_a_cancelling_dropped_is_not_called_never_uploaded(client: Client, clinic: Organisation) -> None:
    image = ImageFactory(case__batch__organisation=clinic, stored=True)
    cancel_batch(actor=SYSTEM, batch=image.batch)
    html = client.get(address(image.case)).content.decode()
    assert ("Never uploaded" in html, "Put it in a new batch." in html) == (False, True)
