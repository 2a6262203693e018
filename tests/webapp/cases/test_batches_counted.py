"""What the list of batches counts, and what that costs where batches are large."""

import re
from importlib import import_module

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.factories import BatchFactory, CaseFactory, CaseResultFactory
from tests.webapp.api.clinic import Clinic, case, good
from webapp.accounts.models import Organisation
from webapp.cases import selectors
from webapp.cases.models import Batch

pytestmark = pytest.mark.django_db
LIST = reverse("cases:batches")


def counts(client: Client) -> list[int]:
    """The number of cases of each batch that is listed, the newest first."""
    return [batch.cases_there for batch in client.get(LIST).context["page"].rows]


def kept(batch: Batch) -> int | None:
    batch.refresh_from_db()
    return batch.case_count


@pytest.mark.parametrize(("end", "body"), [("submit", {"allow_missing": True}), ("cancel", None)])
def test_the_number_of_cases_is_kept_once_no_more_can_come(
    client: Client, clinic: Organisation, end: str, body: object
) -> None:
    software = Clinic(clinic)
    batch = Batch.objects.get(pk=software.create(case("one"), case("two"))["id"])
    software.post(f"/batches/{batch.pk}/cases", {"cases": [case("three")]})
    assert (counts(client), kept(batch)) == ([3], None)

    good(software.post(f"/batches/{batch.pk}/{end}", body))
    assert (counts(client), kept(batch)) == ([3], 3)


def test_a_version_that_does_not_know_the_number_is_counted_after(client: Client, clinic: Organisation) -> None:
    for state in ({}, {"submitted": True}, {"completed": True}):
        CaseFactory.create_batch(2, batch=BatchFactory(organisation=clinic, **state))
    assert counts(client) == [2, 2, 2]

    with connection.cursor() as cursor:
        cursor.execute(import_module("webapp.cases.migrations.0026_cases_counted_before").COUNTED)

    assert counts(client) == [2, 2, 2]
    assert [kept(batch) for batch in Batch.objects.order_by("state")] == [2, None, None]


def test_of_many_cases_to_review_the_list_says_that_they_are_many(client: Client, clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, completed=True)
    for _ in range(99):
        CaseResultFactory(case__batch=batch)
    assert '99<span class="visually-hidden"> to review' in client.get(LIST).content.decode()

    CaseResultFactory.create_batch(3, case__batch=batch)
    assert '99+<span class="visually-hidden"> to review' in client.get(LIST).content.decode()


def test_the_list_costs_what_it_shows(client: Client, clinic: Organisation) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(LIST).status_code == 200
        return len(captured)

    BatchFactory(organisation=clinic, completed=True, case_count=1)
    client.get(LIST)
    one = queries()
    BatchFactory.create_batch(20, organisation=clinic, completed=True, case_count=1)
    assert queries() == one
    assert one <= 8


def test_cases_of_a_batch_that_is_closed_are_not_counted_again(clinic: Organisation) -> None:
    batch = BatchFactory(organisation=clinic, completed=True, case_count=120)
    CaseResultFactory.create_batch(120, case__batch=batch)

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_bitmapscan = off")  # it reads all that an index finds
    read = re.findall(r"actual .*?rows=(\d+)", selectors.batches_of(clinic, {}).explain(analyze=True))

    assert max(map(int, read)) == 100  # as many as "99+" takes
