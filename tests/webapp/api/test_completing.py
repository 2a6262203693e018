"""Many uploads are said to be complete in one call."""

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import BatchFactory, CaseFactory, ImageFactory
from tests.webapp.api.clinic import Clinic, case, good, problem
from tests.webapp.elsewhere import is_free
from webapp import storage
from webapp.cases.models import Batch, Image

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_folder")]


def uploaded(clinic: Clinic, count: int) -> Batch:
    """An open batch whose files are all in storage."""
    batch = BatchFactory(organisation=clinic.organisation)
    for _ in range(count):
        storage.write(ImageFactory(case=CaseFactory(batch=batch)).upload_key, b"jpeg")
    return batch


def complete(clinic: Clinic, batch: Any, ids: Sequence[Any]) -> list[dict[str, Any]]:
    answer = good(clinic.post(f"/batches/{batch}/complete", {"images": [str(one) for one in ids]}))
    return list(answer["images"])


def test_each_image_is_answered_for_itself(clinic: Clinic) -> None:
    made = clinic.create(*(case(name) for name in ("arrived", "missing", "in-parts", "given-up")))
    ids = [image["id"] for image in made["images"]]
    keys = [image.upload_key for image in Image.objects.order_by("created_at", "id")]
    storage.write(keys[0], b"1234")
    good(clinic.post(f"/images/{ids[2]}/parts", {"size": 10}))
    Image.objects.filter(pk=ids[3]).update(state="expired", ended_at=Image.objects.get(pk=ids[3]).created_at)

    found = complete(clinic, made["id"], ids[::-1])

    assert [image["id"] for image in found] == ids[::-1]
    assert [image["state"] for image in found] == ["expired", "awaiting_upload", "awaiting_upload", "stored"]
    expired, parts, missing, none = (image["problem"] for image in found)
    assert [told["code"] for told in (expired, parts, missing)] == ["upload_expired", "parts_missing", "upload_missing"]
    assert all(told["detail"] for told in (expired, parts, missing))
    assert (none, parts["parts"]) == (None, [1])
    for told, image in ((expired, ids[3]), (parts, ids[2]), (missing, ids[1])):
        assert clinic.post(f"/images/{image}/complete").json()["detail"] == told["detail"]
    assert Image.objects.get(pk=ids[0]).size == 4


def test_repeating_it_changes_nothing(clinic: Clinic) -> None:
    batch = uploaded(clinic, 3)
    ids = list(batch.images.values_list("pk", flat=True))
    complete(clinic, batch.pk, ids[:2])
    before = dict(batch.images.values_list("pk", "stored_at"))
    again = complete(clinic, batch.pk, [*ids, *ids])
    assert [(image["state"], image["problem"]) for image in again] == [("stored", None)] * 3
    after = dict(batch.images.values_list("pk", "stored_at"))
    assert [before[image] == after[image] for image in ids] == [True, True, False]


def test_an_image_of_another_batch_stops_them_all(clinic: Clinic) -> None:
    batch, other = uploaded(clinic, 1), uploaded(clinic, 1)
    ids = [str(batch.images.get().pk), str(other.images.get().pk), str(uuid.uuid4())]
    refused = problem(clinic.post(f"/batches/{batch.pk}/complete", {"images": ids}), 422)
    assert (refused["code"], refused["image_ids"]) == ("images_unknown", ids[1:])
    assert not Image.objects.exclude(state="awaiting_upload").exists()


@pytest.mark.parametrize(
    "ids", [[], ["nonsense"], [str(uuid.uuid4()) for _ in range(501)]], ids=["none", "no id", "501"]
)
def test_one_call_is_for_one_to_five_hundred_ids(clinic: Clinic, ids: list[str]) -> None:
    assert problem(clinic.post(f"/batches/{uploaded(clinic, 1).pk}/complete", {"images": ids}), 400)["errors"]


def test_fifty_images_take_as_many_queries_as_two(clinic: Clinic) -> None:
    good(clinic.get("/batches"))  # notes the key's use
    counts = []
    for count in (2, 50):
        batch = uploaded(clinic, count)
        ids = list(batch.images.values_list("pk", flat=True))
        with CaptureQueriesContext(connection) as captured:
            complete(clinic, batch.pk, ids)
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 8  # two of them begin and end the transaction
    assert set(Image.objects.values_list("state", flat=True)) == {"stored"}


def test_one_image_takes_a_query_for_each_thing_that_is_asked(clinic: Clinic) -> None:
    good(clinic.get("/batches"))  # notes the key's use
    image = uploaded(clinic, 1).images.get()
    with CaptureQueriesContext(connection) as captured:
        answer = good(clinic.post(f"/images/{image.pk}/complete"))
    assert answer["state"] == "stored"
    asked = [query["sql"] for query in captured if "SAVEPOINT" not in query["sql"]]
    assert len(asked) == 4  # whose key, which image, in parts or not, and that it is stored


def test_one_that_is_refused_at_this_moment_says_why(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    image = uploaded(clinic, 1).images.get()
    sizes, flag = storage.sizes, {"code": "blurred", "advice": "Hold still."}

    def refused_meanwhile(keys: Sequence[str]) -> dict[str, int | None]:
        Image.objects.filter(pk=image.pk).update(
            state="rejected", reason="blurred", advice="Hold still.", quality=[flag], ended_at=image.created_at
        )
        return sizes(keys)

    monkeypatch.setattr(storage, "sizes", refused_meanwhile)
    answer = good(clinic.post(f"/images/{image.pk}/complete"))
    assert (answer["state"], answer["reason"], answer["what_to_do"]) == ("rejected", "blurred", "Hold still.")
    assert answer["quality"] == [flag]


@pytest.mark.django_db(transaction=True)
def test_a_slow_storage_does_not_hold_the_batch(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = uploaded(clinic, 2)
    size, free = storage.size, []

    def watched(key: str) -> int | None:
        with ThreadPoolExecutor() as pool:
            free.append(pool.submit(is_free, str(batch.pk)).result())
        return size(key)

    monkeypatch.setattr(storage, "size", watched)
    complete(clinic, batch.pk, list(batch.images.values_list("pk", flat=True)))
    assert free == [True, True]
