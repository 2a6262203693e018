"""A picture that alone would be referred refers its case, and whoever reads the case is told that it did."""

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories import (
    BatchFactory,
    CaseResultFactory,
    MembershipFactory,
    ReleaseFactory,
)
from tests.webapp.inference.scenes import answered_case
from webapp.cases.models import Case
from webapp.inference.models import CaseResult
from webapp.pages.words import ONE_IMAGE
from webapp.reports import fhir, wording

pytestmark = pytest.mark.django_db


def answered(*malignant: float) -> Case:
    return answered_case(malignant, advice="self_monitor", uncertainty=0.01)


@pytest.mark.parametrize(
    ("malignant", "advice", "told"),
    [
        ((0.2, 0.01, 0.01), "routine_referral", True),
        ((0.2, 0.1, 0.1), "routine_referral", False),
        ((0.09, 0.01), "self_monitor", False),
        ((0.2,), "routine_referral", False),
    ],
)
def test_why_a_case_is_referred_is_said(client: Client, malignant: tuple[float, ...], advice: str, told: bool) -> None:
    case = answered(*malignant)
    assert case.advice == advice
    assert case.answer is not None
    client.force_login(MembershipFactory(organisation=case.organisation).user)
    assert (ONE_IMAGE in client.get(f"/cases/{case.pk}/").content.decode()) == told
    assert (ONE_IMAGE in wording.sentences(case.answer)) == told
    assert (
        ONE_IMAGE in json.loads("".join(fhir.batch_bundle(case.batch)))["entry"][-1]["resource"]["conclusion"]
    ) == told


def test_a_batch_asks_for_a_threshold_once() -> None:
    batch = BatchFactory(completed=True)
    release = ReleaseFactory()
    for _ in range(3):
        CaseResultFactory(
            case__batch=batch, release=release, images=2, malignant=0.05, advice="routine_referral", top_class="NV"
        )
    results = list(CaseResult.objects.all())
    with CaptureQueriesContext(connection) as captured:
        assert all(result.follows_one_image for result in results)
    assert len(captured) == 1
