"""A batch's page where it is cancelled while the model is at it, through HTTP."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import ImageFactory, ReleaseFactory
from tests.webapp.api.clinic import Clinic
from tests.webapp.inference.scenes import answer_all, outcome, submitted_batch
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.models import NOT_A_LESION, Batch
from webapp.inference.claim import claim_jobs
from webapp.inference.models import Job
from webapp.inference.services import finish
from webapp.registry.models import ModelRelease
from webapp.registry.services import promote

pytestmark = pytest.mark.django_db
HELD = {"lease_token": uuid4(), "lease_until": timezone.now() + timedelta(hours=1)}
RENEWED = 'hx-trigger="every 2s, renew"'


def cancelled(client: Client, batch: Batch) -> str:
    """The page after its button "Cancel" was pressed."""
    return client.post(reverse("cases:batch_cancel", args=[batch.pk]), follow=True).content.decode()


def page_of_case(client: Client, job: Job) -> str:
    return client.get(reverse("cases:case", args=[job.image.case_id])).content.decode()


def test_a_cancelled_batch_says_what_is_still_answered_and_is_renewed_until_it_is(
    client: Client, clinic: Organisation, release: ModelRelease
) -> None:
    batch = submitted_batch([1, 1, 1], organisation=clinic)
    token, jobs = claim_jobs(limit=2)
    asked = client.get(reverse("cases:batch", args=[batch.pk])).content.decode()
    assert "What is at the model at this moment is still answered, and the rest gets no result" in asked

    html = cancelled(client, batch)

    assert "3 images had not ended. What is at the model at this moment is still answered: 2 images." in html
    assert "0 of 3 images done; 3 cancelled, but 2 at the model at this moment are still answered." in html
    assert RENEWED in html
    assert "2 images still at the model" in client.get(reverse("cases:batches")).content.decode()
    assert html.count("No result yet</span>") == 2
    assert html.count("Cancelled</span>") == 2, "of the batch and of the case that was still queued"
    assert "The batch's page shows how far it is" in page_of_case(client, jobs[0])
    part = client.get(reverse("cases:batch_progress", args=[batch.pk]))
    assert part.status_code == 200

    finish(token=token, ends=[(jobs[0], outcome(release)), (jobs[1], NOT_A_LESION)])

    part = client.get(reverse("cases:batch_progress", args=[batch.pk]), {"seen": part.context["stamp"]})
    assert part.status_code == 286
    assert "batch-changed" in part["HX-Trigger"]
    assert "1 of 3 images done, 1 without a result; 1 cancelled." in part.content.decode()
    assert RENEWED not in client.get(reverse("cases:batch", args=[batch.pk])).content.decode()
    assert "at the model" not in client.get(reverse("cases:batches")).content.decode()


def test_a_batch_is_cancelled_while_a_picture_is_checked(client: Client, clinic: Organisation) -> None:
    image = ImageFactory(case__batch__organisation=clinic, stored=True, **HELD)

    html = cancelled(client, image.batch)

    assert "Being checked" in html
    assert "Being checked" in client.get(reverse("cases:case", args=[image.case_id])).content.decode()
    assert Clinic(clinic).get(f"/batches/{image.batch_id}/fhir").status_code == 200


def test_a_cancelled_batch_that_nothing_works_at_is_not_renewed(client: Client, clinic: Organisation) -> None:
    html = cancelled(client, ImageFactory(case__batch__organisation=clinic, ready=True).batch)

    assert "The batch was cancelled. 1 image had not ended. Results that were there already remain." in html
    assert RENEWED not in html


def test_who_stops_a_second_run_reads_how_much_of_it_was_stopped(
    client: Client, clinic: Organisation, release: ModelRelease
) -> None:
    batch = submitted_batch([1, 1, 1], organisation=clinic)
    answer_all(release)
    promote(actor=SYSTEM, release=ReleaseFactory())
    client.post(reverse("cases:batch_rescore", args=[batch.pk]))
    claim_jobs(limit=2)

    rest = " What is at the model at this moment is still answered: 2 images. Results that were there already remain."
    assert f"The second run was stopped for 1 image.{rest}" in cancelled(client, batch)
    nothing = "No image of the second run waits any more, so there is nothing to stop."
    assert f"{nothing}{rest}" in cancelled(client, batch)
