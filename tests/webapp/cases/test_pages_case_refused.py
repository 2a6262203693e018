"""A refused picture on the page of its case: of thousands, the page of their batch shows the first hundred."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.factories import BatchFactory, CaseFactory, CaseResultFactory, ImageFactory
from webapp.accounts.models import Organisation
from webapp.cases.models import Case, Image

pytestmark = pytest.mark.django_db
BLURRED = {"code": "blurred", "advice": "The photo is blurred."}


def refused(case: Case, **changes: Any) -> Image:
    now = timezone.now()
    image: Image = ImageFactory(
        case=case,
        **{"ready": True, "state": "rejected", "reason": "blurred", "quality": [BLURRED], "ended_at": now, **changes},
    )
    return image


def case_of(clinic: Organisation, **batch: Any) -> Case:
    case: Case = CaseFactory(batch=BatchFactory(organisation=clinic, **batch), external_id="A-17")
    return case


def shown(client: Client, case: Case, **opened: str) -> str:
    return client.get(reverse("cases:case", args=[case.pk]), opened).content.decode()


def test_a_provider_uses_it_and_stays_where_they_are(client: Client, clinic: Organisation) -> None:
    now = timezone.now()
    case = case_of(clinic, state="completed_with_failures", submitted_at=now, finished_at=now, failures=1)
    image = refused(case)

    html = shown(client, case, list="to_review")
    [action] = re.findall(r'action="(/images/[^"]*)"', html)
    assert "Use it all the same" in html
    answer = client.post(unescape(action), {"from_case": "1"}, follow=True)

    assert answer.request["PATH_INFO"] == reverse("cases:case", args=[case.pk])
    assert answer.request["QUERY_STRING"] == "list=to_review"
    assert f"{image.filename} was taken all the same." in answer.content.decode()
    image.refresh_from_db()
    assert image.state == "ready"


@pytest.mark.parametrize("changes", [{"quality": [], "reason": "corrupt", "width": 0}, {"quality": []}])
def test_not_one_that_no_model_could_see_or_that_failed_no_quality_check(
    client: Client, clinic: Organisation, changes: dict[str, Any]
) -> None:
    case = case_of(clinic)
    refused(case, **changes)
    assert "/images/" not in "".join(re.findall(r'action="([^"]*)"', shown(client, case)))


def test_not_in_a_cancelled_batch_nor_once_the_patient_has_the_result(client: Client, clinic: Organisation) -> None:
    now = timezone.now()
    cancelled = case_of(clinic, state="cancelled", finished_at=now)
    released = CaseResultFactory(case=case_of(clinic, completed=True)).case
    Case.objects.filter(pk=released.pk).update(released_at=now)
    for case in (cancelled, released):
        refused(case)
        assert "Use it all the same" not in shown(client, case)
