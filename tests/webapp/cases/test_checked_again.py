"""A picture whose check failed for a reason that may pass is checked again, in a batch that was sent, too."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import BatchFactory, CaseFactory, ImageFactory, ReleaseFactory
from tests.webapp.api.clinic import Clinic as Software
from tests.webapp.api.clinic import good, problem
from tests.webapp.cases.files import ago
from tests.webapp.inference.scenes import answer_all, inspect_all
from webapp import storage
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.intake import REFUSED_BY_STORAGE, UNCHECKED, InspectionResult, claim_images, finish_intake
from webapp.cases.models import Batch, Image
from webapp.cases.originals import forget_originals
from webapp.cases.services import submit_batch
from webapp.inference.claim import claim_jobs
from webapp.inference.services import finish

pytestmark = pytest.mark.django_db(transaction=True)


def sent(clinic: Organisation) -> Batch:
    """A batch that was sent while one of its two pictures was still to be checked."""
    batch: Batch = BatchFactory(organisation=clinic)
    ImageFactory(case=CaseFactory(batch=batch), ready=True)
    storage.write(ImageFactory(case=CaseFactory(batch=batch), stored=True).upload_key, b"a picture")
    return submit_batch(actor=SYSTEM, batch=batch)


def check_fails(batch: Batch, found: InspectionResult = UNCHECKED) -> Image:
    token, [image] = claim_images(limit=16)
    assert finish_intake(token=token, inspected=[(image, found)])
    batch.refresh_from_db()
    return Image.objects.get(pk=image.pk)


def counts(batch: Batch) -> tuple[str, int, int]:
    batch.refresh_from_db()
    return batch.state, batch.remaining, batch.failures


@pytest.mark.parametrize("found", [UNCHECKED, REFUSED_BY_STORAGE], ids=lambda found: found.code)
@pytest.mark.parametrize("complete", [False, True], ids=["in progress", "complete"])
def test_it_is_answered_when_the_batch_is_run_again(
    clinic: Organisation, found: InspectionResult, complete: bool
) -> None:
    release = ReleaseFactory(active=True)
    software, batch = Software(clinic), sent(clinic)
    check_fails(batch, found)
    if complete:
        answer_all(release)
    others = 0 if complete else 1
    assert counts(batch) == ("completed_with_failures" if complete else "submitted", others, 1)

    answer = good(software.post(f"/batches/{batch.pk}/rerun"))
    assert (answer["state"], answer["remaining"], answer["failures"]) == ("submitted", others + 1, 0)
    assert answer["progress"]["images"]["stored"] == 1
    assert problem(software.post(f"/batches/{batch.pk}/rerun"), 409)["code"] == "nothing_failed"

    inspect_all()
    answer_all(release)
    assert counts(batch) == ("completed", 0, 0)
    assert batch.cases.filter(answer=None).count() == 0


def test_the_page_offers_it_in_a_batch_that_is_in_progress_and_in_one_that_is_complete(
    client: Client, clinic: Organisation
) -> None:
    release, batch = ReleaseFactory(active=True), sent(clinic)
    page, rerun = (reverse(f"cases:{name}", args=[batch.pk]) for name in ("batch", "batch_rerun"))
    assert "Re-run" not in client.get(page).content.decode()
    check_fails(batch)
    assert "Re-run 1 failed" in client.get(page).content.decode()

    assert "1 image is tried once more." in client.post(rerun, follow=True).content.decode()
    assert counts(batch) == ("submitted", 2, 0)
    assert "Re-run" not in client.get(page).content.decode()

    check_fails(batch)
    answer_all(release)
    assert counts(batch) == ("completed_with_failures", 0, 1)
    assert "Re-run 1 failed" in client.get(page).content.decode()
    client.post(rerun)
    assert counts(batch) == ("submitted", 1, 0)


def test_a_page_in_progress_is_told_that_a_check_has_failed_as_its_button_appears(
    client: Client, clinic: Organisation
) -> None:
    batch = sent(clinic)
    page, progress = (reverse(f"cases:{name}", args=[batch.pk]) for name in ("batch", "batch_progress"))
    stamp = client.get(page).context["stamp"]
    check_fails(batch)

    assert "actions-changed" in client.get(progress, {"seen": stamp})["HX-Trigger"]


def test_a_page_in_progress_is_told_how_many_have_failed_by_now(client: Client, clinic: Organisation) -> None:
    batch = sent(clinic)
    page, progress = (reverse(f"cases:{name}", args=[batch.pk]) for name in ("batch", "batch_progress"))
    check_fails(batch)
    shown = client.get(page)
    assert "Re-run 1 failed" in shown.content.decode()
    token, jobs = claim_jobs(limit=1)
    finish(token=token, ends=[(job, "model_error") for job in jobs])

    assert "actions-changed" in client.get(progress, {"seen": shown.context["stamp"]})["HX-Trigger"]
    assert "Re-run 2 failed" in client.get(page).content.decode()


def test_what_killed_its_check_takes_no_other_picture_with_it(clinic: Organisation) -> None:
    batch = sent(clinic)
    image = check_fails(batch)
    ImageFactory(case=CaseFactory(batch=BatchFactory()), stored=True)
    good(Software(clinic).post(f"/batches/{batch.pk}/rerun"))

    assert claim_images(limit=16)[1] == [image]


def test_what_storage_refused_has_killed_nothing_and_is_checked_with_others(clinic: Organisation) -> None:
    batch = sent(clinic)
    image = check_fails(batch, REFUSED_BY_STORAGE)
    other = ImageFactory(case=CaseFactory(batch=BatchFactory()), stored=True)
    good(Software(clinic).post(f"/batches/{batch.pk}/rerun"))

    assert set(claim_images(limit=16)[1]) == {image, other}


@pytest.mark.parametrize("change", ["file", "gone", "deleted", "released", "cancelled"])
def test_it_is_not_offered_where_it_would_fail_again_or_change_what_was_told(clinic: Organisation, change: str) -> None:
    software, batch = Software(clinic), sent(clinic)
    found = InspectionResult(code="corrupt" if change == "file" else "upload_missing", advice="Send it again.")
    image = check_fails(batch, found if change in ("file", "gone") else UNCHECKED)
    if change == "deleted":
        good(software.http.delete(f"/api/v1/cases/{image.case_id}/photos"))
    if change == "released":
        batch.cases.filter(pk=image.case_id).update(released_at=timezone.now())
    if change == "cancelled":
        good(software.post(f"/batches/{batch.pk}/cancel"))
    before = Image.objects.get(pk=image.pk)

    refused = problem(software.post(f"/batches/{batch.pk}/rerun"), 409)

    assert refused["code"] == ("batch_cancelled" if change == "cancelled" else "nothing_failed")
    assert Image.objects.get(pk=image.pk).state == before.state


def test_its_file_is_kept_for_a_day_and_then_nothing_is_offered(clinic: Organisation) -> None:
    software, batch = Software(clinic), sent(clinic)
    image = check_fails(batch)
    kept = settings.UPLOAD_EXPIRES_HOURS / 24

    Image.objects.filter(pk=image.pk).update(ended_at=ago(kept) + timedelta(minutes=1))
    forget_originals()
    assert storage.read(image.upload_key) == b"a picture"

    Image.objects.filter(pk=image.pk).update(ended_at=ago(kept))
    forget_originals()
    assert storage.size(image.upload_key) is None
    assert problem(software.post(f"/batches/{batch.pk}/rerun"), 409)["code"] == "nothing_failed"


@pytest.mark.parametrize("change", ["released", "cancelled"])
def test_its_file_is_not_kept_where_it_cannot_be_checked_again(clinic: Organisation, change: str) -> None:
    batch = sent(clinic)
    image = check_fails(batch)
    Image.objects.filter(pk=image.pk).update(ended_at=ago(0.5))
    if change == "released":
        batch.cases.filter(pk=image.case_id).update(released_at=timezone.now())
    else:
        good(Software(clinic).post(f"/batches/{batch.pk}/cancel"))

    forget_originals()

    assert storage.size(image.upload_key) is None


def at_the_check(batch: Batch) -> None:
    pass


def at_the_model(batch: Batch) -> None:
    inspect_all()


@pytest.mark.parametrize("stage", [at_the_check, at_the_model])
def test_a_second_check_that_is_cancelled_leaves_a_complete_batch(clinic: Organisation, stage: Any) -> None:
    release = ReleaseFactory(active=True)
    software, batch = Software(clinic), sent(clinic)
    check_fails(batch)
    answer_all(release)
    good(software.post(f"/batches/{batch.pk}/rerun"))
    stage(batch)

    good(software.post(f"/batches/{batch.pk}/cancel"))

    assert counts(batch) == ("completed_with_failures", 0, 1)
    good(software.post(f"/batches/{batch.pk}/rerun"))
    inspect_all()
    answer_all(release)
    assert counts(batch) == ("completed", 0, 0)


def test_a_check_that_was_stopped_is_told_as_stopped(client: Client, clinic: Organisation) -> None:
    release, batch = ReleaseFactory(active=True), sent(clinic)
    check_fails(batch, REFUSED_BY_STORAGE)
    answer_all(release)
    client.post(reverse("cases:batch_rerun", args=[batch.pk]))
    client.post(reverse("cases:batch_cancel", args=[batch.pk]))

    shown = client.get(reverse("cases:batch", args=[batch.pk])).content.decode()

    assert "The check of this file was stopped." in shown
    assert "export the picture again" not in shown


def test_a_first_check_that_is_cancelled_cancels_the_batch(clinic: Organisation) -> None:
    batch = sent(clinic)
    good(Software(clinic).post(f"/batches/{batch.pk}/cancel"))
    assert counts(batch)[0] == "cancelled"


@pytest.mark.parametrize("apart", [timedelta(hours=-1), timedelta(hours=1)], ids=["behind", "ahead"])
def test_a_second_check_is_told_from_a_first_whatever_the_clocks_of_machines_say(
    clinic: Organisation, apart: timedelta
) -> None:
    release, software = ReleaseFactory(active=True), Software(clinic)
    batch, other = sent(clinic), sent(clinic)
    Batch.objects.update(submitted_at=timezone.now() + apart)  # by a machine whose clock is behind, or ahead
    good(software.post(f"/batches/{other.pk}/cancel"))
    check_fails(batch)
    answer_all(release)
    good(software.post(f"/batches/{batch.pk}/rerun"))
    good(software.post(f"/batches/{batch.pk}/cancel"))

    assert counts(other)[0] == "cancelled"
    assert counts(batch) == ("completed_with_failures", 0, 1)
