"""A parameter or a field that means nothing is refused by its name: passed over, it would seem obeyed."""

import pytest

from tests.factories import EndpointFactory, ImageFactory
from tests.webapp.api.clinic import Clinic, case, good, problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


def test_every_list_refuses_a_parameter_that_it_does_not_have(clinic: Clinic) -> None:
    batch = clinic.create(case())["id"]
    hook = EndpointFactory(organisation=clinic.organisation).pk
    for path in ("/batches", f"/batches/{batch}/images", "/cases", "/webhooks", f"/webhooks/{hook}/deliveries"):
        good(clinic.get(path, page_size=1))
        told = problem(clinic.get(path, page=2, page_size=1), 400)
        assert (told["code"], {"cursor", "page_size"} - {*told["allowed"]}) == ("unknown_parameter", set())
        assert told["detail"].startswith("page is no parameter")


def test_a_misspelt_filter_is_answered_with_those_that_there_are(clinic: Clinic) -> None:
    ImageFactory(case__batch__organisation=clinic.organisation)
    batch = clinic.create(case())["id"]

    told = problem(clinic.get("/cases", batch_id=batch), 400)

    assert told["detail"].startswith("batch_id is no parameter of this list. It takes advice, batch, case_id")
    assert [row["batch"] for row in good(clinic.get("/cases", batch=batch))["results"]] == [batch]


def test_the_address_of_a_next_page_is_known(clinic: Clinic) -> None:
    clinic.create(case(), case("case-2"))
    first = good(clinic.get("/cases", page_size=1))
    second = good(clinic.http.get(first["next"]))
    assert second["results"] != first["results"]


def test_a_field_without_a_meaning_is_refused_before_anything_is_stored(clinic: Clinic) -> None:
    told = problem(clinic.post("/batches", {"nme": "Monday", "cases": [case()]}), 400)
    assert [(error["field"], error["code"]) for error in told["errors"]] == [("nme", "unknown_field")]
    assert "Known are: name, archive, capture, cases" in told["errors"][0]["message"]
    assert good(clinic.get("/batches"))["results"] == []

    row = problem(clinic.post("/batches", {"cases": [case(agee=40)]}), 422)["errors"][0]
    assert (row["row"], row["field"], row["code"]) == (1, "agee", "unknown_field")


def test_what_an_action_does_not_know_is_refused(clinic: Clinic) -> None:
    batch = clinic.create(case())["id"]
    more = {"cases": [case("case-2")], "capture": "phone"}
    for path, body in (
        (f"/batches/{batch}/submit", {"allow_mising": True}),
        (f"/batches/{batch}/cases", more),
        ("/webhooks", {"ulr": "x"}),
    ):
        assert problem(clinic.post(path, body), 400)["errors"][0]["code"] == "unknown_field"
