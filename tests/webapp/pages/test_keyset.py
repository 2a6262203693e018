"""Pages by the last row that was shown."""

from base64 import urlsafe_b64decode

import pytest
from django.utils import timezone

from tests.factories import BatchFactory, OrganisationFactory
from webapp.cases.models import Batch
from webapp.pages.keyset import neighbours, page_of

pytestmark = pytest.mark.django_db
ORDER = ("-created_at", "id")


def test_rows_with_equal_values_are_neither_lost_nor_repeated() -> None:
    clinic = OrganisationFactory()
    made = {BatchFactory(organisation=clinic).pk for _ in range(7)}
    Batch.objects.update(created_at=timezone.now())

    seen, cursor = [], ""
    while True:
        page = page_of(Batch.objects.all(), ORDER, after=cursor, size=2)
        seen += [batch.pk for batch in page.rows]
        if not (cursor := page.next_cursor):
            break

    assert len(seen) == 7
    assert set(seen) == made


def test_rows_that_arrive_meanwhile_shift_nothing() -> None:
    first, second = BatchFactory(), BatchFactory()
    page = page_of(Batch.objects.all(), ORDER, size=1)
    BatchFactory()

    assert page.rows == [second]
    assert page_of(Batch.objects.all(), ORDER, after=page.next_cursor, size=1).rows == [first]


@pytest.mark.parametrize("cursor", ["nonsense", "a:b", "W10:forged", "é", "\0"])
def test_a_forged_cursor_starts_at_the_beginning(cursor: str) -> None:
    batch = BatchFactory()

    assert page_of(Batch.objects.all(), ORDER, after=cursor).rows == [batch]


def test_a_cursor_tells_nobody_what_its_row_is_ordered_by() -> None:
    BatchFactory(remaining=8734), BatchFactory()

    cursor = page_of(Batch.objects.all(), ("-remaining", "id"), size=1).next_cursor

    for piece in (cursor, *cursor.replace(".", ":").split(":")):
        assert b"8734" not in urlsafe_b64decode(f"{piece}===")


def test_neighbours_of_the_first_and_the_last() -> None:
    oldest, middle, newest = BatchFactory(), BatchFactory(), BatchFactory()

    assert neighbours(Batch.objects.all(), ORDER, newest) == (None, middle)
    assert neighbours(Batch.objects.all(), ORDER, middle) == (newest, oldest)
    assert neighbours(Batch.objects.all(), ORDER, oldest) == (middle, None)
