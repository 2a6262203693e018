"""Photos whose patient does not agree that models learn from them are put before no annotator."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import ImageFactory, JobFactory, LabelFactory, MembershipFactory, ResultFactory
from tests.ml.imaging.samples import encode, skin_photo
from webapp import storage
from webapp.accounts.consent import choose_training
from webapp.accounts.models import User
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.models import Image
from webapp.errors import Problem
from webapp.labels.models import Label
from webapp.labels.selectors import disagreements, left_in_queue
from webapp.labels.services import next_image, settle_disagreement, submit_label

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[True, False], ids=["answered", "unseen by the model"])
def image(request: pytest.FixtureRequest) -> Image:
    made: Image = ImageFactory(ready=True)
    if request.param:
        ResultFactory(job=JobFactory(image=made, succeeded=True))
    return made


@pytest.fixture
def annotator(image: Image) -> User:
    made: User = MembershipFactory(organisation=image.organisation, role="annotator").user
    return made


def shown(annotator: User) -> Image | None:
    return next_image(actor=Actor(user=annotator), annotator=annotator)


def test_a_photo_is_offered_only_while_its_patient_agrees(image: Image, annotator: User) -> None:
    patient, organisation = image.case.patient, image.organisation
    for agreed in (False, True):
        choose_training(actor=SYSTEM, patient=patient, agreed=agreed)
        assert left_in_queue(organisation=organisation, annotator=annotator) == agreed
        assert shown(annotator) == (image if agreed else None)


def test_a_photo_leaves_the_screen_when_its_patient_withdraws(image: Image, annotator: User) -> None:
    assert shown(annotator) == image
    choose_training(actor=SYSTEM, patient=image.case.patient, agreed=False)
    with pytest.raises(Problem, match="may not be used any more") as refused:
        submit_label(actor=Actor(user=annotator), annotator=annotator, image=image, dx="MEL", confidence=2)
    assert refused.value.code == "image_settled"
    assert shown(annotator) is None
    assert not Label.objects.exists()


def test_nobody_looks_at_what_they_have_labelled_once_its_patient_withdraws(
    client: Client, image: Image, annotator: User
) -> None:
    LabelFactory(image=image, annotator=annotator)
    storage.write(image.clean_key, encode(skin_photo(), "JPEG"))
    client.force_login(annotator)
    pictures = [reverse("cases:image_file", args=[image.pk, kind]) for kind in ("clean", "thumbnail")]
    for agreed, status in ((True, 200), (False, 404)):
        choose_training(actor=SYSTEM, patient=image.case.patient, agreed=agreed)
        assert [client.get(picture).status_code for picture in pictures] == [status] * 2
        page = client.get(reverse("labels:mine")).content.decode()
        assert (pictures[1] in page) == agreed
        assert ("its patient does not agree" in page) != agreed
    client.force_login(MembershipFactory(organisation=image.organisation, role="provider").user)
    assert client.get(pictures[0]).status_code == 200


def test_no_disagreement_about_it_is_settled(image: Image, annotator: User) -> None:
    for dx in ("MEL", "NV", "BKL"):
        LabelFactory(image=image, dx=dx)
    assert list(disagreements(image.organisation)) == [image]
    choose_training(actor=SYSTEM, patient=image.case.patient, agreed=False)
    assert not disagreements(image.organisation)
    with pytest.raises(Problem, match="may not be used any more"):
        settle_disagreement(actor=Actor(user=annotator), annotator=annotator, image=image, dx="MEL")
