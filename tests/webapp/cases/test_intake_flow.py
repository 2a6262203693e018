"""From an uploaded file to an image that is ready or refused, by the worker's own functions."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from ml.imaging.refusal import SENTENCES
from tests.factories import ImageFactory
from tests.ml.imaging.hostile import damaged, hostile_files, truncated
from tests.ml.imaging.samples import encode, every_format, skin_photo
from tests.webapp.api.clinic import Clinic, case, good, problem
from webapp import storage
from webapp.cases.intake import InspectionResult, claim_images, finish_intake, somebody_waits, sweep_images
from webapp.cases.models import Image, Priority
from workers.intake import inspect_waiting

pytestmark = pytest.mark.django_db(transaction=True)


def upload_all(clinic: Clinic, files: list[bytes]) -> dict[str, Any]:
    """One case for each file, uploaded and completed."""
    batch = clinic.create(*(case(f"c{n}") for n in range(len(files))))
    for image, data in zip(batch["images"], files, strict=True):
        clinic.upload(image, data)
    return batch


def listed(clinic: Clinic, batch: dict[str, Any]) -> list[dict[str, Any]]:
    answer = good(clinic.get(f"/batches/{batch['id']}/images", page_size=500))
    return list(answer["results"])


def test_every_format_is_ready_without_its_original() -> None:
    clinic = Clinic()
    batch = upload_all(clinic, list(every_format(skin_photo(seed=3)).values()))
    inspect_waiting()
    images = Image.objects.all()
    assert {image.state for image in images} <= {"ready", "rejected"}
    # The same picture in every format is the same picture only byte by byte, so none is a duplicate.
    assert [row["reason"] for row in listed(clinic, batch)] == [""] * len(images)
    for image in images:
        assert storage.size(image.upload_key) is None
        assert storage.size(image.clean_key)


def test_a_second_copy_in_a_case_is_refused_and_the_rest_goes_on() -> None:
    clinic = Clinic()
    photo = encode(skin_photo(seed=4), "JPEG")
    batch = clinic.create(case("c0", "a.jpg", "b.jpg"), case("c1"))
    for image, data in zip(batch["images"], [photo, photo, encode(skin_photo(seed=5), "JPEG")], strict=True):
        clinic.upload(image, data)
    inspect_waiting()
    rows = listed(clinic, batch)
    assert sorted(row["reason"] for row in rows) == ["", "", "duplicate"]
    (refused,) = [row for row in rows if row["reason"]]
    assert refused["what_to_do"] == SENTENCES["duplicate"]
    assert problem(clinic.post(f"/images/{refused['id']}/override-quality"), 409)["code"] == "not_overridable"
    detail = good(clinic.post(f"/batches/{batch['id']}/submit"))
    assert (detail["failures"], detail["remaining"]) == (1, 2)


def test_a_provider_may_insist_on_a_picture_of_poor_quality() -> None:
    clinic = Clinic()
    dark = encode(skin_photo(skin=(20, 16, 14), pigment=(8, 6, 5)), "PNG")
    batch = upload_all(clinic, [dark])
    inspect_waiting()
    (row,) = listed(clinic, batch)
    assert row["state"] == "rejected"
    assert row["quality"][0]["code"] == row["reason"]
    assert row["quality"][0]["code"] in SENTENCES
    url = f"/batches/{batch['id']}"
    assert good(clinic.post(f"{url}/submit"))["state"] == "completed_with_failures"
    again = good(clinic.post(f"/images/{row['id']}/override-quality"))
    assert (again["state"], again["reason"]) == ("ready", "")
    assert good(clinic.get(f"/cases/{row['case']}"))["images"][0]["quality_overridden"] is True
    detail = good(clinic.get(url))
    assert (detail["state"], detail["remaining"], detail["failures"]) == ("submitted", 1, 0)
    assert detail["progress"]["jobs"]["queued"] == 1
    assert problem(clinic.post(f"/images/{row['id']}/override-quality"), 409)["code"] == "not_overridable"


def restored_from_before_its_intake(image_id: str) -> None:
    """The row as a dump has it that was made before the image was inspected; the bucket was copied after that."""
    Image.objects.filter(pk=image_id).update(
        state="stored", reason="", advice="", sha256="", width=0, height=0, quality=[], ended_at=None, attempt=0
    )


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_restored_row_goes_on_with_the_picture_that_is_kept(form: str) -> None:
    clinic = Clinic()
    batch = upload_all(clinic, [encode(skin_photo(seed=6), form)])
    inspect_waiting()
    before = Image.objects.get()
    restored_from_before_its_intake(batch["images"][0]["id"])
    inspect_waiting()
    after = Image.objects.get()
    assert (after.state, after.reason, after.quality) == ("ready", "", before.quality)
    assert (after.width, after.height) == (before.width, before.height)


def test_a_file_that_is_gone_is_not_called_empty() -> None:
    clinic = Clinic()
    batch = upload_all(clinic, [b"no picture"])
    inspect_waiting()
    restored_from_before_its_intake(batch["images"][0]["id"])
    inspect_waiting()
    (gone,) = listed(clinic, batch)
    assert (gone["state"], gone["reason"]) == ("rejected", "upload_missing")
    assert gone["what_to_do"].endswith("Please send it again.")


def test_no_hostile_file_is_left_undecided() -> None:
    """One in four of those that are cut or damaged, each of which `tests/ml/imaging/test_hostile.py` decodes."""
    clinic = Clinic()
    broken = [name for name, _ in (*truncated(), *damaged())]
    passed_over = {*broken} - {*broken[::4]}
    files = {data: name for name, data in hostile_files() if name not in passed_over}
    assert len(files) >= 120
    batch = upload_all(clinic, list(files))
    inspect_until_done()
    rows = listed(clinic, batch)
    assert len(rows) == len(files)
    for name, row in zip(files.values(), rows, strict=True):
        assert row["state"] in ("ready", "rejected"), name
        assert row["state"] == "ready" or row["reason"] in SENTENCES, (name, row["reason"])
    detail = good(clinic.post(f"/batches/{batch['id']}/submit"))
    assert detail["progress"]["images"]["awaiting_upload"] == detail["progress"]["images"]["stored"] == 0


def test_no_name_that_leaves_its_folder_is_taken_and_none_is_part_of_an_address() -> None:
    clinic, names = Clinic(), sorted({name for name, _ in hostile_files()})
    refused = problem(clinic.post("/batches", {"cases": [case(f"c{n}", name) for n, name in enumerate(names)]}), 422)
    assert {error["field"] for error in refused["errors"]} == {"images"}
    bad = {names[error["row"] - 1] for error in refused["errors"]}
    assert bad
    good_names = [name for name in names if name not in bad]
    batch = clinic.create(*(case(f"c{n}", name) for n, name in enumerate(good_names)))
    for image in batch["images"]:
        assert not set(image["filename"]) & {"\\", "\0"}
        assert not set(image["filename"].split("/")) & {"", ".", ".."}  # folders of a ZIP: a label, never a path here
        assert image["filename"] not in image["upload"]["url"]


def inspect_until_done() -> None:
    """A wake-up works for some seconds and then rings again: here the test is the bell."""
    for _ in range(100):
        if not Image.objects.filter(state=Image.State.STORED).exists():
            return
        inspect_waiting()
    pytest.fail("images are left uninspected")


def test_a_file_that_killed_its_worker_is_checked_alone() -> None:
    clinic = Clinic()
    upload_all(clinic, [encode(skin_photo(seed=n), "JPEG") for n in range(4)])
    token, together = claim_images(limit=4)
    assert len(together) == 4

    Image.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert sweep_images() == 4
    assert finish_intake(token=token, inspected=[(together[0], InspectionResult("a" * 64, 600, 450))]) == []
    assert [len(claim_images(limit=4)[1]) for _ in range(5)] == [1, 1, 1, 1, 0]


def test_a_worker_that_is_late_holds_up_no_sweep() -> None:
    late, lost = ImageFactory.create_batch(2, stored=True)
    claim_images(limit=2)
    Image.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    def sweep() -> int:
        try:
            return sweep_images()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as sweeper, transaction.atomic():
        Image.objects.select_for_update().get(pk=late.pk)
        assert sweeper.submit(sweep).result(timeout=20) == 1
    assert list(Image.objects.filter(lease_token=None)) == [lost]


def test_bulk_work_can_be_left_where_it_is() -> None:
    ImageFactory.create_batch(2, stored=True)
    assert not somebody_waits()
    assert claim_images(limit=5, people_only=True)[1] == []
    photo = ImageFactory(stored=True, priority=Priority.INTERACTIVE)

    assert somebody_waits()
    assert claim_images(limit=5, people_only=True)[1] == [photo]
    assert not somebody_waits()


def test_a_person_goes_before_what_killed_a_worker() -> None:
    again, own = (
        ImageFactory(stored=True, attempt=1),
        ImageFactory(stored=True, priority=Priority.INTERACTIVE, attempt=1),
    )
    photo = ImageFactory(stored=True, priority=Priority.INTERACTIVE)
    assert [claim_images(limit=5)[1] for _ in range(3)] == [[photo], [own], [again]]
