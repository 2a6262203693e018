"""A release of one network: nobody is told that models agree, or how far they differ."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import (
    CaseResultFactory,
    MembershipFactory,
)
from tests.webapp.api.clinic import Clinic, good
from tests.webapp.inference.scenes import answered_case
from webapp.cases.models import Case
from webapp.patients.words import explain
from webapp.reports import exports, fhir, wording

pytestmark = pytest.mark.django_db


@pytest.fixture
def case() -> Case:
    """A case of two pictures that differ, answered by such a release."""
    return answered_case([0.9, 0.6], advice="urgent_referral", uncertainty=None)


def test_no_page_speaks_of_models_that_agree(client: Client, case: Case) -> None:
    client.force_login(MembershipFactory(organisation=case.organisation).user)
    for address in (
        reverse("cases:case", args=[case.pk]),
        reverse("cases:batch", args=[case.batch_id]),
        reverse("cases:to_review"),
    ):
        html = client.get(address).content.decode()
        assert "75%" in html
        told = html.replace("± how far the models differ", "").replace(": the models", "")  # a legend, and a filter's
        assert "±" not in told
        assert "he models " not in told


def test_no_report_and_no_program_is_told_of_a_spread(case: Case) -> None:
    assert case.answer is not None
    assert not any("±" in said or "models" in said for said in wording.sentences(case.answer))
    assert good(Clinic(case.organisation).get(f"/cases/{case.pk}"))["result"]["uncertainty"] is None
    bundle = "".join(fhir.batch_bundle(case.batch))
    assert "p-malignant-sd" not in bundle
    assert "p-malignant" in json.dumps(json.loads(bundle))
    [head, row] = exports.as_csv(case.batch)
    assert dict(zip(head.split(","), row.split(","), strict=False))["uncertainty"] == ""


def test_a_patient_is_not_told_that_the_computer_looked_in_several_ways(case: Case) -> None:
    assert case.answer is not None
    assert not any("more than one way" in said for said in explain(case, case.answer).sentences())
    several = CaseResultFactory.build(uncertainty=0.01)
    assert any("more than one way" in said for said in explain(several.case, several).sentences())
