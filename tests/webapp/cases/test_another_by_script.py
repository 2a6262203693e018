"""The page sends another file past the site, and the refused picture stays until it is there."""

from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from urllib3.util import parse_url

from ml.imaging.refusal import SENTENCES
from tests.factories import MembershipFactory
from tests.ml.imaging.samples import encode, skin_photo
from tests.webapp.api.clinic import Clinic, case, good, problem
from webapp import storage
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.intake import InspectionResult, claim_images, finish_intake
from webapp.cases.models import Image
from webapp.cases.originals import forget_originals
from webapp.cases.uploads import complete_replacement
from webapp.errors import Problem
from webapp.multipart import PART_BYTES

pytestmark = pytest.mark.django_db
SCRIPT = {"Accept": "application/json"}
BLURRED = {
    "state": "rejected",
    "reason": "blurred",
    "advice": "It is blurred.",
    "quality": [{"code": "blurred", "advice": "It is blurred."}],
    "sha256": "b" * 64,
    "width": 600,
    "height": 450,
}


def blurred(client: Client) -> tuple[Clinic, str]:
    """A clinic, one of whom is signed in, and the address at which another file takes the place of its blurred one."""
    member = MembershipFactory(role="provider")
    clinic = Clinic(member.organisation)
    [made] = clinic.create(case())["images"]
    Image.objects.update(**BLURRED, ended_at=timezone.now())
    client.force_login(member.user)
    return clinic, f"/images/{made['id']}/another/"


def place_of_another(client: Client, replace: str, size: int = 9) -> dict[str, Any]:
    [place] = client.post(replace, {"size": size}, headers=SCRIPT).json()["places"]
    return cast(dict[str, Any], place)


def test_a_script_puts_another_file_in_its_place_past_the_site(client: Client) -> None:
    _, replace = blurred(client)
    place = place_of_another(client, replace)
    early = client.post(replace, {"sent": "1"}, follow=True).content.decode()
    assert "No file has arrived for this image." in early

    client.put(parse_url(place["upload"]["url"]).request_uri, b"a picture", "image/jpeg")
    html = client.post(replace, {"sent": "1"}, follow=True).content.decode()

    image = Image.objects.get()
    assert f"Another file is here in the place of {image.filename}" in html
    assert (image.state, storage.read(image.upload_key)) == ("stored", b"a picture")
    assert (image.reason, image.quality, image.width) == ("", [], 0)
    assert Event.objects.filter(action="image.awaited_again", object_id=str(image.pk)).count() == 1
    refused = client.post(replace, {"size": 9}, headers=SCRIPT)
    assert (refused.status_code, "completed or given up" in refused.json()["errors"][0]) == (409, True)
    assert "Another file is here" in client.post(replace, {"sent": "1"}, follow=True).content.decode()


def test_a_refused_picture_stays_until_another_is_there(client: Client) -> None:
    """A connection that breaks loses neither it nor the choice to use it all the same."""
    _, replace = blurred(client)
    image = Image.objects.get()
    storage.write(image.clean_key, encode(skin_photo(), "JPEG"))
    place_of_another(client, replace)

    page = client.get(f"/batches/{image.batch_id}/").content.decode()
    unusable = page.partition("Pictures that cannot be used")[2].partition("</ul>")[0]
    assert all(said in unusable for said in (f"/images/{image.pk}/thumbnail/", "Use it all the same", replace))
    assert "Files that have not arrived" not in page

    client.post(f"/images/{image.pk}/override/")
    assert Image.objects.get().state == "ready"
    told = client.post(replace, {"size": 9}, headers=SCRIPT)
    assert "completed or given up" in told.json()["errors"][0]


def test_a_refused_picture_stays_where_the_site_cannot_keep_another(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, replace = blurred(client)

    def away(key: str, data: bytes) -> None:
        raise storage.StorageAway

    monkeypatch.setattr(storage, "write", away)
    with suppress(storage.StorageAway):
        client.post(replace, {"file": SimpleUploadedFile("IMG_0042.HEIC", b"a picture")})

    assert (Image.objects.get().state, Image.objects.get().width) == ("rejected", 600)


def test_a_large_file_comes_in_parts_beside_the_one_that_was_refused(client: Client) -> None:
    clinic, replace = blurred(client)
    place = place_of_another(client, replace, size := PART_BYTES + 1)
    assert place["upload"] is None
    whole = bytes(size)
    for broken in (True, False):
        end = 0
        for part in good(clinic.http.post(place["parts"], {"size": size}, "application/json"))["parts"]:
            begin, end = end, end + part["size"]
            if part["upload"] and not (broken and begin):
                url = parse_url(part["upload"]["url"]).request_uri
                assert client.put(url, whole[begin:end], "image/jpeg").status_code == 204
        told = client.post(replace, {"sent": "1"}, follow=True).content.decode()
        assert ("Some parts have not arrived." in told) == broken
        assert Image.objects.get().state == ("rejected" if broken else "stored")
    assert storage.size(Image.objects.get().upload_key) == size


def test_a_smaller_file_comes_whole_after_a_large_one_broke_off(client: Client) -> None:
    clinic, replace = blurred(client)
    size = PART_BYTES + 1
    good(clinic.http.post(place_of_another(client, replace, size)["parts"], {"size": size}, "application/json"))

    url = parse_url(place_of_another(client, replace)["upload"]["url"]).request_uri
    client.put(url, b"a picture", "image/jpeg")
    told = client.post(replace, {"sent": "1"}, follow=True).content.decode()

    assert "Another file is here" in told
    assert storage.read(Image.objects.get().upload_key) == b"a picture"


def test_what_came_beside_a_refused_picture_and_was_never_put_in_its_place_is_not_kept(client: Client) -> None:
    _, replace = blurred(client)
    Image.objects.update(original_forgotten=True, ended_at=timezone.now() - timedelta(hours=3))
    url = parse_url(place_of_another(client, replace)["upload"]["url"]).request_uri
    client.put(url, b"a picture", "image/jpeg")
    image = Image.objects.get()

    assert forget_originals() == 0
    assert storage.read(image.next_key) == b"a picture"

    Image.objects.update(another_at=timezone.now() - timedelta(hours=2))
    assert forget_originals() == 1
    assert storage.size(image.next_key) is None
    assert problem(client.put(url, b"a picture", "image/jpeg"), 409)["code"] == "not_awaited"


def test_what_is_put_in_its_place_while_others_are_forgotten_is_kept(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic, replace = blurred(client)
    long_ago = timezone.now() - timedelta(hours=3)
    place_of_another(client, replace)
    late = Image.objects.get()
    clinic.create(case("2"))
    Image.objects.exclude(pk=late.pk).update(**BLURRED, ended_at=long_ago - timedelta(hours=1))
    Image.objects.filter(pk=late.pk).update(ended_at=long_ago, another_at=long_ago)
    monkeypatch.setattr("webapp.cases.originals.random", lambda: 0)
    deleting = storage.delete

    def delete(key: str) -> None:
        deleting(key)
        if Image.objects.get(pk=late.pk).state == "rejected":  # the sweep is still at the other picture
            url = parse_url(place_of_another(client, replace)["upload"]["url"]).request_uri
            client.put(url, b"a picture", "image/jpeg")
            client.post(replace, {"sent": "1"})

    monkeypatch.setattr(storage, "delete", delete)
    forget_originals()

    late.refresh_from_db()
    assert (late.state, storage.read(late.upload_key)) == ("stored", b"a picture")


def test_of_two_other_files_the_one_that_is_late_changes_nothing(client: Client) -> None:
    _, replace = blurred(client)
    for _ in range(2):
        url = parse_url(place_of_another(client, replace)["upload"]["url"]).request_uri
    client.put(url, b"a picture", "image/jpeg")
    late = Image.objects.get()
    client.post(replace, {"sent": "1"})
    token, [image] = claim_images(limit=1)
    finish_intake(token=token, inspected=[(image, InspectionResult(code="empty", advice=SENTENCES["empty"]))])

    with pytest.raises(Problem, match="replaced by another file"):
        complete_replacement(actor=SYSTEM, image=late)

    assert (Image.objects.get().state, Image.objects.get().tries) == ("rejected", 1)


def test_a_file_that_is_too_large_does_not_take_the_place_of_the_one_there(client: Client) -> None:
    member = MembershipFactory(role="provider")
    [made] = Clinic(member.organisation).create(case())["images"]
    Image.objects.update(state="rejected", reason="blurred", ended_at=timezone.now())
    client.force_login(member.user)
    large = {"size": settings.UPLOAD_MAX_BYTES + 1}
    refused = client.post(f"/images/{made['id']}/another/", large, headers=SCRIPT)

    assert (refused.status_code, refused.json()["errors"]) == (413, ["The file is larger than 25 MB. Send less."])
    assert Image.objects.get().reason == "blurred"
