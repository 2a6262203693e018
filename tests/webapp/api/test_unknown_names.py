"""A parameter or a field that means nothing is refused by its name: passed over, it would seem obeyed."""

import pytest

from tests.factories import CaseResultFactory, EndpointFactory, ImageFactory
from tests.webapp.api.clinic import Clinic, case, good, problem

pytestmark = pytest.mark.django_db


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
    assert "Known are: capture, name, archive, archive_size, cases" in told["errors"][0]["message"]
    assert good(clinic.get("/batches"))["results"] == []

    row = problem(clinic.post("/batches", {"cases": [case(agee=40)]}), 422)["errors"][0]
    assert (row["row"], row["field"], row["code"]) == (1, "agee", "unknown_field")


def test_what_an_action_does_not_know_is_refused(clinic: Clinic) -> None:
    batch = clinic.create(case())["id"]
    more = {"cases": [case("case-2")], "name": "Tuesday"}
    for path, body in (
        (f"/batches/{batch}/submit", {"allow_mising": True}),
        (f"/batches/{batch}/cases", more),
        ("/webhooks", {"ulr": "x"}),
    ):
        assert problem(clinic.post(path, body), 400)["errors"][0]["code"] == "unknown_field"


def test_what_stands_in_the_address_of_a_change_is_not_passed_over(clinic: Clinic) -> None:
    batch = clinic.create(case())["id"]
    for path, body in (
        ("/batches?name=Monday", {"cases": [case("case-2")]}),
        (f"/batches/{batch}/cases?capture=phone", {"cases": [case("case-2")]}),
        (f"/batches/{batch}/submit?allow_missing=true", {}),
    ):
        told = problem(clinic.post(path, body), 400)
        assert (told["code"], told["detail"].split()[0]) == ("unknown_parameter", path.partition("?")[2].split("=")[0])
    assert len(good(clinic.get("/cases"))["results"]) == 1


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_what_says_nothing_does_not_widen_a_list(clinic: Clinic, value: str) -> None:
    batch = clinic.create(case())["id"]
    hook = EndpointFactory(organisation=clinic.organisation).pk
    for path, filters in (
        ("/batches", ["state", "source", "created_after", "created_before"]),
        (f"/batches/{batch}/images", ["state"]),
        ("/cases", ["batch", "case_id", "patient_id", "released", "advice", "top_class", "uncertainty_min"]),
        (f"/webhooks/{hook}/deliveries", ["state", "type"]),
    ):
        for name in [*filters, "page_size", "cursor"]:
            told = problem(clinic.get(path, **{name: value}), 400)
            refused = {
                "invalid": told.get("errors", [{}])[0].get("field"),
                "parameter_invalid": told["detail"].split()[0],
            }
            assert refused[told["code"]] == name


def test_of_two_values_neither_is_passed_over(clinic: Clinic) -> None:
    told = problem(clinic.get("/cases", case_id=["A-1", "A-2"]), 400)
    assert told["code"] == "parameter_invalid"


@pytest.mark.parametrize("value", ["abc", "0", "-1", "1.5", "٣", "9" * 50])
def test_a_size_of_page_that_is_none_is_refused(clinic: Clinic, value: str) -> None:
    told = problem(clinic.get("/cases", page_size=value), 400)
    assert (told["code"], told["detail"]) == ("parameter_invalid", "page_size is a whole number from 1 to 500.")


def test_who_asks_for_a_larger_page_than_there_is_gets_the_largest(clinic: Clinic) -> None:
    clinic.create(*(case(f"c{n}") for n in range(501)))
    for value in (501, 1000):
        page = good(clinic.get("/cases", page_size=value))
        assert (len(page["results"]), page["next"] is None) == (500, False)


@pytest.mark.parametrize(("value", "found"), [("true", 1), ("TRUE", 1), ("1", 1), ("false", 2), ("False", 2), ("0", 2)])
def test_cases_are_narrowed_to_those_that_are_released(clinic: Clinic, value: str, found: int) -> None:
    answered = [CaseResultFactory(case__batch__organisation=clinic.organisation).case for _ in range(3)]
    good(clinic.post(f"/cases/{answered[0].pk}/release"))
    assert len(good(clinic.get("/cases", released=value))["results"]) == found


def test_who_sends_another_value_is_told_which_there_are(clinic: Clinic) -> None:
    told = problem(clinic.get("/batches", state="lost"), 400)["errors"][0]["message"]
    assert told == "Send one of: open, submitted, completed, completed_with_failures, cancelled."
    told = problem(clinic.get("/batches?created_after=2026-11-22T08:30:00+01:00"), 400)["errors"][0]["message"]
    assert told == "Send a time as 2026-11-22T08:30:00Z. In an address a + is written %2B."
    told = problem(clinic.post("/batches", {"capture": "film", "archive": True}), 400)["errors"][0]["message"]
    assert told == "Send one of: dermoscopic, clinical, phone, unknown."


@pytest.mark.parametrize("value", ["yes", "2", "released", "null"])
def test_neither_true_nor_false_is_refused(clinic: Clinic, value: str) -> None:
    told = problem(clinic.get("/cases", released=value), 400)
    assert (told["code"], told["errors"][0]["field"]) == ("invalid", "released")
