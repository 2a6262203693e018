"""A file that was refused is replaced while its batch is open; one that never came says so."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from urllib3.util import parse_url

from ml.imaging.refusal import SENTENCES
from tests.factories import MembershipFactory
from tests.ml.imaging.samples import encode, skin_photo, zipped
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.cases.zips import expand_next, sent
from tests.webapp.inference.scenes import inspect_all
from webapp import storage
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.intake import InspectionResult, claim_images, finish_intake, sweep_images
from webapp.cases.models import Image
from webapp.cases.originals import forget_originals
from webapp.cases.services import cancel_batch, submit_batch
from webapp.cases.uploads import MAX_TRIES, complete_upload
from webapp.errors import Problem
from workers.intake import inspect_waiting

pytestmark = pytest.mark.django_db


def refused(clinic: Clinic) -> str:
    """The address of an image whose file was empty."""
    made = clinic.create(case())["images"][0]
    clinic.upload(made, b"")
    token, [image] = claim_images(limit=1)
    finish_intake(token=token, inspected=[(image, InspectionResult(code="empty", advice=SENTENCES["empty"]))])
    return f"/images/{made['id']}"


def test_another_file_takes_the_place_of_one_that_was_refused() -> None:
    clinic = Clinic()
    path = refused(clinic)

    upload = good(clinic.post(f"{path}/upload-url"))

    image = good(clinic.get(path))
    assert (image["state"], image["reason"], image["what_to_do"]) == ("awaiting_upload", "", "")
    clinic.upload({"id": image["id"], "upload": upload}, b"a picture")
    inspect_all()
    assert good(clinic.get(path))["state"] == "ready"
    assert Event.objects.filter(action="image.awaited_again", object_id=image["id"]).count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_worker_that_refused_the_first_file_deletes_nothing_of_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic()
    made = clinic.create(case())["images"][0]
    clinic.upload(made, b"no picture")
    delete, deleted = storage.delete, list[str]()

    def late(key: str) -> None:
        if not deleted:
            monkeypatch.setattr(storage, "delete", delete)
            upload = good(clinic.post(f"/images/{made['id']}/upload-url"))
            clinic.upload({"id": made["id"], "upload": upload}, encode(skin_photo(), "JPEG"))
        deleted.append(key)
        delete(key)

    monkeypatch.setattr(storage, "delete", late)
    inspect_waiting()

    image = Image.objects.get()
    assert (image.state, len(deleted)) == ("ready", 1)
    assert storage.size(image.clean_key)
    former = clinic.http.put(parse_url(made["upload"]["url"]).request_uri, b"late", "application/octet-stream")
    assert problem(former, 409)["code"] == "not_awaited"


@pytest.mark.django_db(transaction=True)
def test_what_is_wrong_with_a_file_of_a_zip_says_nothing_of_one_that_is_awaited_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = {"a.jpg": b"photo", "b.jpg": zipped({"x": b"x"})}
    batch = sent(Clinic(), zipped({"cases.csv": b"images\na.jpg\nb.jpg\n", **files}))
    write = storage.write

    def late(key: str, data: bytes) -> None:
        """As if the file of the other image came meanwhile, was refused, and another was asked for."""
        batch.images.filter(filename="b.jpg").update(tries=1)
        write(key, data)

    monkeypatch.setattr(storage, "write", late)
    expand_next()
    assert set(batch.images.values_list("filename", "state")) == {("a.jpg", "stored"), ("b.jpg", "awaiting_upload")}


def test_a_completion_that_is_late_says_nothing_of_the_next_file() -> None:
    clinic = Clinic()
    clinic.upload(made := clinic.create(case())["images"][0], b"no picture")
    late = Image.objects.get()
    late.state = Image.State.AWAITING_UPLOAD  # as it was when the request came
    token, [image] = claim_images(limit=1)
    finish_intake(token=token, inspected=[(image, InspectionResult(code="corrupt", advice=SENTENCES["corrupt"]))])
    good(clinic.post(f"/images/{made['id']}/upload-url"))

    with pytest.raises(Problem, match="No file has arrived"):
        complete_upload(image=late)

    assert Image.objects.get().state == "awaiting_upload"


def test_nothing_is_left_of_an_earlier_try() -> None:
    path = refused(clinic := Clinic())
    first = Image.objects.get()
    clinic.post(f"{path}/upload-url")
    keys = [first.upload_key, first.clean_key]
    for key in keys:
        storage.write(key, b"by a worker, or a URL that was still valid")
    Image.objects.update(state="rejected", reason="blurred", ended_at=timezone.now() - timedelta(days=1))

    assert forget_originals() == 1

    assert [storage.size(key) for key in keys] == [None, None]


def test_nothing_is_kept_of_a_refused_picture_whose_successor_never_came() -> None:
    path = refused(clinic := Clinic())
    image = Image.objects.select_related("batch").get()
    storage.write(image.clean_key, b"blurred")
    clinic.post(f"{path}/upload-url")
    submit_batch(actor=SYSTEM, batch=image.batch, allow_missing=True)
    Image.objects.update(ended_at=timezone.now() - timedelta(days=1))

    assert forget_originals() == 1

    assert storage.size(image.clean_key) is None


def test_a_provider_sends_another_file_of_any_name_and_it_finds_its_row(client: Client) -> None:
    """A phone names each photo anew, and files of two cases may be called alike."""
    member = MembershipFactory(role="provider")
    for image in Clinic(member.organisation).create(case("left"), case("right"))["images"]:
        Image.objects.filter(pk=image["id"]).update(
            state="rejected", reason="blurred", filename="image.jpg", ended_at=timezone.now()
        )
    left, right = Image.objects.order_by("case__external_id")
    client.force_login(member.user)
    page, replace = f"/batches/{right.batch_id}/", f"/images/{right.pk}/another/"
    assert replace in client.get(page).content.decode()
    assert "Choose the file to send." in client.post(replace, follow=True).content.decode()

    html = client.post(replace, {"file": SimpleUploadedFile("IMG_0042.HEIC", b"a picture")}, follow=True)

    assert "Another file is here in the place of image.jpg" in html.content.decode()
    left.refresh_from_db()
    right.refresh_from_db()
    assert (left.state, right.state, right.filename) == ("rejected", "stored", "image.jpg")
    assert storage.read(right.upload_key) == b"a picture"
    assert Event.objects.filter(action="image.awaited_again", object_id=str(right.pk)).count() == 1
    client.post(replace, {"file": SimpleUploadedFile("IMG_0043.HEIC", b"one more")})
    assert storage.read(right.upload_key) == b"a picture"


def test_one_that_was_refused_often_is_not_awaited_any_more() -> None:
    path = refused(clinic := Clinic())
    for tries, status in [(MAX_TRIES - 1, 200), (MAX_TRIES, 409)]:
        Image.objects.update(state="rejected", reason="blurred", ended_at=timezone.now(), tries=tries)
        answer = clinic.post(f"{path}/upload-url")
        assert answer.status_code == status
    assert problem(answer, 409)["code"] == "not_awaited"
    assert "refused too often" in answer.json()["detail"]
    assert Image.objects.get().state == "rejected"


@pytest.mark.parametrize("end", ["submitted", "cancelled", "too old"])
def test_not_once_the_batch_is_sent_or_its_time_is_over(end: str) -> None:
    clinic = Clinic()
    path = refused(clinic)
    image = Image.objects.select_related("batch").get()
    if end == "submitted":
        submit_batch(actor=SYSTEM, batch=image.batch)
    elif end == "cancelled":
        cancel_batch(actor=SYSTEM, batch=image.batch)
    else:
        Image.objects.update(created_at=timezone.now() - timedelta(hours=settings.UPLOAD_EXPIRES_HOURS + 1))

    assert problem(clinic.post(f"{path}/upload-url"), 409)["code"] == "not_awaited"
    assert good(clinic.get(path))["reason"] == "empty"


@pytest.mark.parametrize(
    ("end", "reason"), [("submitted", "not_uploaded"), ("swept", "not_uploaded"), ("cancelled", "cancelled")]
)
def test_an_image_that_never_came_says_why_and_what_to_do(end: str, reason: str) -> None:
    clinic = Clinic()
    made = clinic.create(case())["images"][0]
    image = Image.objects.select_related("batch").get()
    if end == "submitted":
        submit_batch(actor=SYSTEM, batch=image.batch, allow_missing=True)
    elif end == "cancelled":
        cancel_batch(actor=SYSTEM, batch=image.batch)
    else:
        Image.objects.update(created_at=timezone.now() - timedelta(hours=settings.UPLOAD_EXPIRES_HOURS + 1))
        sweep_images()

    told = good(clinic.get(f"/images/{made['id']}"))
    assert (told["state"], told["reason"]) == ("expired", reason)
    assert told["what_to_do"].endswith("in a new batch.")


def test_what_came_too_late_is_not_given_up_unasked(client: Client) -> None:
    clinic = Clinic()
    batch = clinic.create(case("left"), case("right"))
    path, (first, second) = f"/batches/{batch['id']}", batch["images"]
    clinic.upload(first, b"one picture")
    Image.objects.update(created_at=timezone.now() - timedelta(hours=settings.UPLOAD_EXPIRES_HOURS + 1))
    sweep_images()

    told = problem(clinic.post(f"{path}/submit"), 409)
    assert (told["code"], told["image_ids"]) == ("uploads_incomplete", [second["id"]])
    assert "new Idempotency-Key" in told["detail"]
    client.force_login(MembershipFactory(organisation=clinic.organisation).user)
    page = client.get(reverse("cases:batch", args=[batch["id"]])).content.decode()
    assert "Files that did not arrive in time" in page
    assert second["filename"] in page.partition("Files that did not arrive in time")[2].partition("</section>")[0]
    assert "Submit without the missing files" in page
    assert 'name="allow_missing"' in page
    assert good(clinic.post(f"{path}/submit", {"allow_missing": True}))["state"] == "submitted"


def test_a_picture_that_is_twice_in_one_case_is_refused_without_a_name() -> None:
    clinic = Clinic()
    for image in clinic.create(case("left", "a.jpg", "b.jpg"))["images"]:
        clinic.upload(image, b"one picture")
    token, images = claim_images(limit=2)
    finish_intake(token=token, inspected=[(image, InspectionResult("a" * 64, 600, 450)) for image in images])
    assert Image.objects.get(reason="duplicate").advice == SENTENCES["duplicate"]
