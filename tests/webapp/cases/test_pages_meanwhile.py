"""A batch's page that is read while something is on its way: answers, or the ZIP that brings its cases."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import ArchiveFactory, BatchFactory, CaseFactory, CaseResultFactory, ImageFactory
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch
from webapp.cases.services import cancel_batch
from webapp.pages.keyset import page_of

pytestmark = pytest.mark.django_db


def test_an_answer_that_comes_after_the_rows_were_read_is_brought_by_the_next_look_at_the_progress(
    client: Client, clinic: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch: Batch = BatchFactory(organisation=clinic)
    case = CaseFactory(batch=batch)

    def just_before_an_answer(*args: Any, **kwargs: Any) -> Any:
        rows = page_of(*args, **kwargs)
        CaseResultFactory(case=case)
        return rows

    monkeypatch.setattr("webapp.cases.views.batches.page_of", just_before_an_answer)
    stamp = client.get(reverse("cases:batch", args=[batch.pk])).context["stamp"]

    progress = client.get(reverse("cases:batch_progress", args=[batch.pk]), {"seen": stamp})

    assert progress.status_code == 200


def test_where_a_zip_broke_off_one_thing_is_said_what_to_do_next(client: Client, clinic: Organisation) -> None:
    batch: Batch = ArchiveFactory(batch__organisation=clinic).batch

    html = client.get(reverse("cases:batch", args=[batch.pk])).content.decode()

    assert "The ZIP has not arrived." in html
    assert "Choose it again" in html
    assert "There are no images" not in html
    assert "This batch has no cases" not in html


def test_a_cancelled_batch_without_cases_is_not_to_be_cancelled_again(client: Client, clinic: Organisation) -> None:
    batch: Batch = ArchiveFactory(batch__organisation=clinic).batch
    cancel_batch(actor=SYSTEM, batch=batch)

    html = client.get(reverse("cases:batch", args=[batch.pk])).content.decode()

    assert "This batch has no cases" in html
    assert "Make a new one with pictures." in html
    assert "Choose it again" not in html


def test_nobody_is_told_to_submit_a_batch_of_which_nothing_has_arrived(client: Client, clinic: Organisation) -> None:
    batch: Batch = ImageFactory(case__batch__organisation=clinic).batch

    html = client.get(reverse("cases:batch", args=[batch.pk])).content.decode()

    assert "0 of 1 image ready. The files that have not arrived are below." in html
    assert "Submit the batch" not in html


def test_one_picture_that_is_ready_is_sent_as_one(client: Client, clinic: Organisation) -> None:
    batch: Batch = BatchFactory(organisation=clinic)
    for fields in ({"ready": True}, {}):
        ImageFactory(case__batch=batch, **fields)

    html = client.get(reverse("cases:batch", args=[batch.pk])).content.decode()

    assert "1 of 2 images ready. Submit the batch to send it to the model." in html
