"""Where people find the reports."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import MembershipFactory
from tests.webapp.reports.scenes import answered

pytestmark = pytest.mark.django_db


def test_the_pages_of_a_case_and_of_its_batch_lead_to_their_reports() -> None:
    case = answered()
    browser = Client()
    browser.force_login(MembershipFactory(organisation=case.organisation).user)
    for kind, pk in (("case", case.pk), ("batch", case.batch_id)):
        page = browser.get(reverse(f"cases:{kind}", args=[pk])).content.decode()
        for form in ("pdf", "fhir"):
            address = reverse(f"api:{kind}-report-{form}", args=[pk])
            assert f'href="{address}"' in page
            assert browser.get(address).status_code == 200
    assert "Case results exported (PDF)" in browser.get(reverse("cases:case", args=[case.pk])).content.decode()
