"""Cases that are added to an open batch: as those that it began with, and not twice where an answer is lost."""

from typing import Any

import pytest

from tests.webapp.api.clinic import Clinic, case, good, problem, send_table
from webapp.audit.models import Event
from webapp.cases.models import Case, Image

pytestmark = pytest.mark.django_db
ANNA = {"patient_email": "anna@home.example", "patient_date_of_birth": "1960-02-03"}
SAID = {"lesion_id": "L", "age": 61, "sex": "female", "anatom_site": "back", "notes": "itches", **ANNA}


@pytest.fixture
def path(clinic: Clinic) -> str:
    return f"/batches/{clinic.create(case('first'))['id']}/cases"


def test_further_cases_are_taken_as_the_request_says(clinic: Clinic, path: str) -> None:
    good(clinic.post(path, {"capture": "phone", "cases": [case("a"), case("b", capture="clinical")]}), 201)
    good(send_table(clinic, "case_id,images\nc,c.jpg\n", f"{path}?capture=dermoscopic"), 201)
    taken = dict(Case.objects.values_list("external_id", "capture"))
    assert taken == {"first": "unknown", "a": "phone", "b": "clinical", "c": "dermoscopic"}
    assert problem(clinic.post(path, {"capture": "xray", "cases": [case("d")]}), 400)["code"] == "invalid"
    assert problem(send_table(clinic, "case_id,images\nd,d.jpg\n", f"{path}?name=Monday"), 400)["code"] == "invalid"


def test_a_request_whose_answer_was_lost_is_repeated_and_changes_nothing(clinic: Clinic, path: str) -> None:
    unnamed = {name: value for name, value in case("b").items() if name != "patient_id"}
    body = {"cases": [case("a", "1.jpg", "2.jpg", **SAID), unnamed]}
    added = good(clinic.post(path, body), 201)
    clinic.upload(added[0], b"x")

    again = good(clinic.post(path, body), 200)

    assert [image["id"] for image in again] == [image["id"] for image in added]
    assert [bool(image["upload"]) for image in again] == [False, True, True]
    assert (Case.objects.count(), Image.objects.count()) == (3, 4)
    assert Event.objects.filter(action="batch.cases_added").count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"images": ["1.jpg"]},
        {"images": ["1.jpg", "3.jpg"]},
        {"age": 62},
        {"notes": ""},
        {"patient_id": "somebody-else", "patient_email": None, "patient_date_of_birth": None},
        {"patient_id": ""},
        {"patient_email": "other@home.example"},
    ],
)
def test_what_says_something_else_is_no_repeat(clinic: Clinic, path: str, other: dict[str, Any]) -> None:
    said = case("a", "1.jpg", "2.jpg", **SAID)
    good(clinic.post(path, {"cases": [said]}), 201)
    assert problem(clinic.post(path, {"cases": [{**said, **other}]}), 422)["case_ids"] == ["a"]
    assert problem(clinic.post(path, {"cases": [said, case("b")]}), 422)["case_ids"] == ["a"]
