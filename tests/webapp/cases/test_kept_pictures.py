"""A browser that has kept a picture shows it again only where it is still the picture of this image."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import CaseFactory, CaseResultFactory, ImageFactory, JobFactory, ReleaseFactory, ResultFactory
from tests.webapp.reports.scenes import jpeg
from webapp import storage
from webapp.accounts.models import Organisation
from webapp.audit.models import Event
from webapp.cases.models import Image

pytestmark = pytest.mark.django_db


@pytest.fixture
def image(clinic: Organisation) -> Image:
    """The picture of an answered case."""
    made: Image = ImageFactory(case=CaseFactory(batch__organisation=clinic), ready=True)
    storage.write(made.clean_key, jpeg())
    answered(made)
    return made


def answered(image: Image) -> None:
    release = ReleaseFactory()
    ResultFactory(job=JobFactory(image=image, succeeded=True), release=release)
    CaseResultFactory(case=image.case, release=release)


def asked_again(client: Client, image: Image, kept: dict[str, str]) -> dict[str, int]:
    """What a browser that has kept these pictures is answered; it keeps what it is sent."""
    statuses = {}
    for kind in ("clean", "thumbnail", "heatmap"):
        address = reverse("cases:image_file", args=[image.pk, kind])
        response = client.get(address, headers={"If-None-Match": kept.get(kind, '"none"')})
        assert response["Cache-Control"] == "private, no-cache"
        statuses[kind], kept[kind] = response.status_code, response["ETag"]
    return statuses


def test_the_heatmap_is_that_of_the_answer_that_holds(client: Client, image: Image) -> None:
    kept = dict[str, str]()
    assert asked_again(client, image, kept) == {"clean": 200, "thumbnail": 200, "heatmap": 200}
    assert asked_again(client, image, kept) == {"clean": 304, "thumbnail": 304, "heatmap": 304}

    answered(image)

    assert asked_again(client, image, kept) == {"clean": 304, "thumbnail": 304, "heatmap": 200}
    assert Event.objects.filter(action="image.viewed", detail="clean").count() == 3  # it was looked at each time


def test_another_file_in_its_place_is_another_picture(client: Client, image: Image) -> None:
    kept = dict[str, str]()
    asked_again(client, image, kept)

    Image.objects.filter(pk=image.pk).update(tries=1)
    image.refresh_from_db()
    storage.write(image.clean_key, jpeg())

    assert asked_again(client, image, kept) == {"clean": 200, "thumbnail": 200, "heatmap": 200}


def test_a_deleted_picture_is_not_shown_again(client: Client, image: Image) -> None:
    kept = dict[str, str]()
    asked_again(client, image, kept)
    Image.objects.filter(pk=image.pk).update(state="purged", width=0, height=0)

    response = client.get(
        reverse("cases:image_file", args=[image.pk, "clean"]), headers={"If-None-Match": kept["clean"]}
    )

    assert response.status_code == 404
