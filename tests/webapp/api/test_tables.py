"""The manifest as a CSV table, and its mistakes as one."""

import csv
import io

import pytest

from tests.webapp.api.clinic import Clinic, case, good, problem, send_table
from webapp.cases.models import Archive, Batch, Case

pytestmark = pytest.mark.django_db
TABLE = "case_id,patient_id,age,images\nc1,p1,61,a.jpg;b.jpg\nc2,p2,,c.jpg\n"


def test_a_table_makes_the_batch_that_json_makes(clinic: Clinic) -> None:
    batch = good(send_table(clinic, TABLE, **{"Idempotency-Key": "monday"}), 201)
    assert [(i["case_id"], i["filename"]) for i in batch["images"]] == [
        ("c1", "a.jpg"),
        ("c1", "b.jpg"),
        ("c2", "c.jpg"),
    ]
    assert batch["name"] == "Monday"
    assert set(Case.objects.values_list("external_id", "age", "capture")) == {
        ("c1", 61, "phone"),
        ("c2", None, "phone"),
    }

    clinic.upload(batch["images"][0], b"x")
    again = good(send_table(clinic, TABLE, **{"Idempotency-Key": "monday"}), 200)
    assert (again["id"], [bool(i["upload"]) for i in again["images"]]) == (batch["id"], [False, True, True])
    other = send_table(clinic, TABLE, "/batches?name=Tuesday", **{"Idempotency-Key": "monday"})
    assert problem(other, 422)["code"] == "idempotency_key_reused"
    assert Batch.objects.count() == 1

    added = good(send_table(clinic, "images\nd.jpg\n", f"/batches/{batch['id']}/cases"), 201)
    assert [(i["case_id"], i["filename"]) for i in added] == [("d", "d.jpg")]


def test_a_table_names_the_cases_of_an_archive(clinic: Clinic) -> None:
    batch = good(send_table(clinic, TABLE, "/batches?archive=true&capture=clinical"), 201)
    assert batch["archive_upload"]["method"] == "PUT"
    assert len(batch["images"]) == 3
    assert (Archive.objects.get().state, Archive.objects.get().capture) == ("awaiting_upload", "clinical")


def test_every_mistake_is_listed_as_json_or_as_a_table(clinic: Clinic) -> None:
    wrong = "case_id,patient_id,age,images\n" + "".join(f"c{n},p,old,{n}.jpg\n" for n in range(1500))
    answer = problem(send_table(clinic, wrong), 422)
    assert (answer["code"], answer["error_count"], len(answer["errors"])) == ("manifest_invalid", 1500, 1000)
    assert answer["errors"][0] == {**answer["errors"][0], "row": 2, "field": "age", "code": "age_invalid"}

    for response in (
        send_table(clinic, wrong, Accept="text/csv"),
        clinic.post("/batches", {"cases": [{"case_id": str(n)} for n in range(1500)]}, Accept="text/csv"),
    ):
        assert (response.status_code, response.headers["Content-Type"]) == (422, "text/csv; charset=utf-8")
        rows = list(csv.DictReader(io.StringIO(response.content.decode())))
        assert len(rows) >= 1500
        assert list(rows[0]) == ["row", "field", "code", "message"]
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("accept", "told"),
    [
        ("text/csv, */*;q=0.1", "text/csv; charset=utf-8"),
        ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8"),
        ("application/json, text/csv;q=0.5", "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("image/png", "application/problem+json"),
        ("nonsense", "application/problem+json"),
    ],
)
def test_mistakes_come_as_the_client_would_rather_have_them(clinic: Clinic, accept: str, told: str) -> None:
    response = send_table(clinic, "images,age\na.jpg,old\n", Accept=accept)
    assert (response.status_code, response.headers["Content-Type"]) == (422, told)


@pytest.mark.parametrize("path", ["/batches", "/batches?archive=true", "/batches/{}/cases"])
@pytest.mark.parametrize(("table", "code"), [("", "table_empty"), ("case_id,images\n", "rows_missing")])
def test_a_table_without_rows_is_refused_as_a_table(clinic: Clinic, path: str, table: str, code: str) -> None:
    batch = good(clinic.post("/batches", {"cases": [case("c1")]}), 201)
    answer = problem(send_table(clinic, table, path.format(batch["id"])), 422)
    assert [(error["code"], error["row"]) for error in answer["errors"]] == [(code, 1)]
    assert Batch.objects.count() == 1


def test_a_column_is_checked_before_any_row_and_is_no_formula(clinic: Clinic) -> None:
    response = send_table(clinic, "images,=1+1\n../a.jpg,2\n", Accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert [(row["row"], row["field"], row["code"]) for row in rows] == [("1", "'=1+1", "unknown_column")]


@pytest.mark.parametrize("query", ["?capture=xray", "?archive=perhaps", f"?name={'x' * 201}"])
def test_options_in_the_address_are_checked(query: str) -> None:
    assert problem(send_table(Clinic(), TABLE, f"/batches{query}"), 400)["code"] == "invalid"


def test_a_table_is_no_answer_to_another_question(clinic: Clinic) -> None:
    batch = clinic.create(case())["id"]
    for path in ("complete", "submit", "archive/complete", "archive/parts"):
        answer = problem(send_table(clinic, TABLE, f"/batches/{batch}/{path}"), 415)
        assert answer["detail"] == "Send application/json, and say so in Content-Type."
