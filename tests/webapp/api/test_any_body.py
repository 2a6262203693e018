"""Whatever JSON a client sends, the answer is one that the document names."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import CaseResultFactory, EndpointFactory, ImageFactory
from tests.webapp.api.clinic import API, Clinic, problem

pytestmark = pytest.mark.django_db

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
OF_CASES = [
    "name",
    "archive",
    "cases",
    "case_id",
    "patient_id",
    "images",
    "age",
    "notes",
    "note",
    "size",
    "allow_missing",
]
NAMES = st.sampled_from([*OF_CASES, "url", "event_types", "description", "since"])
BODIES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES)
def test_no_body_is_a_fault(body: Any, clinic: Clinic, paths: list[str]) -> None:
    for path in paths:
        response = clinic.http.post(API + path, json.dumps(body), "application/json")
        if response.status_code >= 400:
            assert problem(response, response.status_code)["status"] < 500
        else:
            assert response.status_code in (200, 201, 202)


@pytest.fixture
def paths(clinic: Clinic) -> list[str]:
    image = ImageFactory(case__batch__organisation=clinic.organisation)
    case = CaseResultFactory(case__batch=image.batch).case
    batch = f"/batches/{image.batch_id}"
    webhook = EndpointFactory(organisation=clinic.organisation)
    return [
        "/batches",
        f"{batch}/cases",
        f"{batch}/complete",
        f"{batch}/archive/complete",
        f"/images/{image.pk}/upload-url",
        f"/cases/{case.pk}/release",
        f"{batch}/submit",
        "/webhooks",
        f"/webhooks/{webhook.pk}/replay-failed",
    ]
