"""A provider sends images of a batch to the model once more, through its page."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import BatchFactory, CaseResultFactory, ImageFactory, JobFactory, ReleaseFactory, ResultFactory
from webapp.accounts.models import Organisation
from webapp.cases.models import Batch

pytestmark = pytest.mark.django_db


def page(client: Client, batch: Batch) -> str:
    return client.get(reverse("cases:batch", args=[batch.pk])).content.decode()


def test_a_provider_sends_what_failed_to_the_model_once_more(client: Client, clinic: Organisation) -> None:
    ReleaseFactory(active=True)
    batch = BatchFactory(organisation=clinic, completed=True)
    Batch.objects.filter(pk=batch.pk).update(state="completed_with_failures", failures=1)
    JobFactory(
        image=ImageFactory(case__batch=batch, ready=True),
        state="failed",
        reason="model_error",
        finished_at=timezone.now(),
    )
    assert "Re-run 1 failed" in page(client, batch)

    asked = client.post(reverse("cases:batch_rerun", args=[batch.pk]), follow=True).content.decode()
    assert "1 image is tried once more." in asked
    batch.refresh_from_db()
    assert (batch.state, batch.remaining, batch.failures) == ("submitted", 1, 0)

    again = client.post(reverse("cases:batch_rerun", args=[batch.pk]), follow=True)
    assert "No image of this batch failed" in again.content.decode()


def test_what_was_sent_before_is_not_counted_as_sent_again(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    result = ResultFactory(job=JobFactory(image=ImageFactory(case__batch=batch, ready=True), succeeded=True))
    CaseResultFactory(case=result.case, release=result.release)
    failed = {"state": "failed", "reason": "model_error", "finished_at": timezone.now()}
    JobFactory(image=ImageFactory(case__batch=batch, ready=True), **failed)
    Batch.objects.filter(pk=batch.pk).update(state="completed_with_failures", failures=1)
    ReleaseFactory(active=True)

    for what in ("batch_rerun", "batch_rescore"):
        asked = client.post(reverse(f"cases:{what}", args=[batch.pk]), follow=True).content.decode()
        assert "1 image is tried once more." in asked
    batch.refresh_from_db()
    assert batch.remaining == 2


def test_a_provider_asks_a_newer_release(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    result = ResultFactory(job=JobFactory(image=ImageFactory(case__batch=batch, ready=True), succeeded=True))
    CaseResultFactory(case=result.case, release=result.release)
    assert "Re-score" not in page(client, batch)
    ReleaseFactory(active=True, name="newest")
    assert "Re-score with newest" in page(client, batch)

    client.post(reverse("cases:batch_rescore", args=[batch.pk]))
    batch.refresh_from_db()
    assert (batch.state, batch.remaining) == ("submitted", 1)
    assert "Re-score" not in page(client, batch)


def test_what_each_release_answered_stands_side_by_side(client: Client, clinic: Organisation) -> None:
    case = CaseResultFactory(
        case__batch=BatchFactory(organisation=clinic, completed=True),
        release__name="oldest",
        advice="self_monitor",
        top_class="BKL",
        malignant=0.04,
    ).case
    CaseResultFactory(case=case, release__name="newest", top_class="BCC", malignant=0.81)

    html = client.get(reverse("cases:case", args=[case.pk])).content.decode()

    rows = [
        re.sub(r"<[^>]*>", " ", row)
        for row in re.findall(r'<tr><th class="[^"]*" scope="row".*?</tr>', html, re.DOTALL)
    ]
    for row, said in zip(
        rows,
        (
            ("newest", "holds", "Urgent referral", "Basal cell carcinoma", "81%"),
            ("oldest", "Self-monitoring", "Benign keratosis", "4%"),
        ),
        strict=True,
    ):
        assert [word for word in said if word not in row] == []
