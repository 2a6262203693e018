"""A batch's page that is read while answers arrive."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import BatchFactory, CaseFactory, CaseResultFactory
from webapp.accounts.models import Organisation
from webapp.cases.models import Batch
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

    monkeypatch.setattr("webapp.cases.views.page_of", just_before_an_answer)
    stamp = client.get(reverse("cases:batch", args=[batch.pk])).context["stamp"]

    progress = client.get(reverse("cases:batch_progress", args=[batch.pk]), {"seen": stamp})

    assert progress.status_code == 200
