"""What annotators are shown comes out of the beginning of an index, or out of what was said, however many images there
are.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.factories import (
    CaseFactory,
    ConsensusFactory,
    ImageFactory,
    JobFactory,
    LabelFactory,
    MembershipFactory,
    ReleaseFactory,
    ResultFactory,
)
from tests.webapp.inference.scenes import answer_all, submitted_batch
from webapp.audit.services import SYSTEM, Actor
from webapp.cases.models import Image
from webapp.inference.models import DRAWN_BELOW, Result
from webapp.inference.reruns import rescore
from webapp.labels import selectors
from webapp.labels.services import next_image, submit_label
from webapp.registry.services import promote

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        pytest.param(selectors.LEAST_CERTAIN, "result_in_doubt", id="doubt"),
        pytest.param(selectors.DRAWN_AT_RANDOM, "result_drawn", id="chance"),
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
        # Of tables that were made anew Postgres has counted nothing, and takes them for long ones.
        cursor.execute("TRUNCATE accounts_organisation CASCADE")
        cursor.execute("EXPLAIN " + query.format(open=selectors.NEEDS_LABELS), values)
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


def test_what_is_settled_stays_out_of_the_index_though_another_release_answers() -> None:
    batch = submitted_batch([1, 1])
    answer_all(promote(actor=SYSTEM, release=ReleaseFactory()))
    settled, other = Image.objects.order_by("pk")
    ConsensusFactory(image=settled)
    Result.objects.filter(image=settled).update(doubt=None)

    release = promote(actor=SYSTEM, release=ReleaseFactory())
    rescore(actor=SYSTEM, batch=batch)
    answer_all(release)

    assert Result.objects.filter(image=settled).count() == 2
    assert set(Result.objects.filter(doubt__isnull=False).values_list("image", flat=True)) == {other.pk}


def test_of_images_that_nobody_has_answered_no_list_asks_who_is_left() -> None:
    case = CaseFactory()
    disagreed, *_ = ImageFactory.create_batch(30, case=case, ready=True)
    for dx in ("MEL", "NV"):
        annotator = MembershipFactory(organisation=case.organisation, role="annotator").user
        LabelFactory(image=disagreed, annotator=annotator, dx=dx)

    listed = selectors.disagreements(case.organisation)

    assert list(listed) == [disagreed]
    [plan] = json.loads(listed.explain(analyze=True, format="json"))
    nodes = list(_nodes(plan["Plan"]))
    asked = [node["Actual Loops"] for node in nodes if node.get("Relation Name") == "accounts_membership"]
    assert asked == [1]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", []):
        yield from _nodes(below)
