"""The next images come out of the beginning of an index, however many there are."""

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.factories import JobFactory, LabelFactory, MembershipFactory, ResultFactory
from webapp.audit.services import Actor
from webapp.inference.models import DRAWN_BELOW, Result
from webapp.labels import selectors
from webapp.labels.services import next_image, submit_label

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("query", "index"),
    [
        pytest.param(selectors.DOUBTED, "result_in_doubt", id="doubt"),
        pytest.param(selectors.DRAWN, "result_drawn", id="chance"),
    ],
)
def test_each_turn_reads_its_index_in_order(query: str, index: str) -> None:
    values: dict[str, Any] = {
        "organisation": 1,
        "annotator": 1,
        "now": timezone.now(),
        "limit": 20,
        "drawn_below": DRAWN_BELOW,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("EXPLAIN " + query.format(open=selectors.OPEN), values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert index in plan
    assert "Sort" not in plan


def test_what_is_settled_leaves_the_index() -> None:
    result = ResultFactory(job=JobFactory(image__ready=True, succeeded=True))
    annotator = MembershipFactory(organisation=result.organisation, role="annotator").user
    LabelFactory(image=result.image, dx="NV")
    image = next_image(actor=Actor(user=annotator), annotator=annotator)
    assert image == result.image
    submit_label(actor=Actor(user=annotator), annotator=annotator, image=result.image, dx="NV", confidence=2)
    assert not Result.objects.filter(doubt__isnull=False).exists()
