"""The order in which the page of a batch lists its cases, through HTTP."""

import random

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.factories import CaseResultFactory
from webapp.accounts.models import Organisation
from webapp.audit.services import SYSTEM
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import Batch
from webapp.cases.selectors import MOST_URGENT_FIRST
from webapp.cases.services import Submission, create_batch

pytestmark = pytest.mark.django_db
NAMES = [f"lesion {number:02}" for number in range(30)]
random.Random(7).shuffle(NAMES)


@pytest.fixture
def batch(clinic: Organisation) -> Batch:
    """A batch whose manifest names its cases in an order that is none of the alphabet's."""
    cases = [CaseSpec(external_id=name, filenames=[f"{name}.jpg"]) for name in NAMES]
    return create_batch(actor=SYSTEM, organisation=clinic, submission=Submission(Batch.Source.API), cases=cases)[0]


def listed(client: Client, batch: Batch) -> list[str]:
    """The cases of all pages, one after the other."""
    names, after = list[str](), ""
    while True:
        page = client.get(reverse("cases:batch", args=[batch.pk]), {"after": after}).context["page"]
        names += [case.external_id for case in page.rows]
        if not (after := page.next_cursor):
            return names


def test_cases_without_a_result_are_listed_as_the_manifest_names_them(
    client: Client, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.cases.views.batches.PAGE", 7)
    assert listed(client, batch) == NAMES
    *rest, last = NAMES
    CaseResultFactory(case=batch.cases.get(external_id=last))
    assert listed(client, batch) == [last, *rest]


def test_that_order_is_read_from_an_index(batch: Batch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL enable_sort = off")  # where the table was analysed while empty, to sort is as cheap
    plan = batch.cases.order_by(*MOST_URGENT_FIRST)[:51].explain()
    assert "case_most_urgent" in plan
    assert "Sort" not in plan
