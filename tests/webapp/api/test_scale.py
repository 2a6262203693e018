"""The number of queries does not grow with the number of rows."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    JobFactory,
    ReleaseFactory,
    ResultFactory,
)
from tests.webapp.api.clinic import Clinic, case, good
from webapp.cases.models import Batch, Case, Image

pytestmark = pytest.mark.django_db
MaxQueries = Callable[[int], AbstractContextManager[Any]]


def answered_batch(clinic: Clinic, cases: int) -> Batch:
    batch = BatchFactory(organisation=clinic.organisation, completed=True)
    releases = [ReleaseFactory(), ReleaseFactory()]
    for _ in range(cases):
        row = CaseFactory(batch=batch)
        for _ in range(2):
            job = JobFactory(image=ImageFactory(case=row, ready=True), succeeded=True)
            ResultFactory(job=job, release=releases[0])
        for release in releases:
            CaseResultFactory(case=row, release=release)
    return batch


def queries(ask: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        response = ask()
        if response.streaming:
            b"".join(response.streaming_content)
    assert response.status_code < 300, response.content
    return len(captured)


def test_reading_takes_a_constant_number_of_queries(clinic: Clinic) -> None:
    good(clinic.get("/batches"))  # notes the key's use
    small, large = answered_batch(clinic, 2), answered_batch(clinic, 12)
    for path in ("results.csv", "results.json"):
        counts = [queries(lambda b=b, p=path: clinic.get(f"/batches/{b.pk}/{p}")) for b in (small, large)]  # type: ignore[misc]
        assert counts[0] == counts[1] <= 9, path
    for path in ("", "/images"):
        counts = [queries(lambda b=b, p=path: clinic.get(f"/batches/{b.pk}{p}")) for b in (small, large)]  # type: ignore[misc]
        assert counts[0] == counts[1] <= 7, path
    counts = [queries(lambda b=b: clinic.get("/cases", batch=b.pk)) for b in (small, large)]  # type: ignore[misc]
    assert counts[0] == counts[1] <= 7
    one = large.cases.first()
    assert one is not None
    assert queries(lambda: clinic.get(f"/cases/{one.pk}")) <= 8
    for _ in range(3):
        few = queries(lambda: clinic.get("/batches"))
        BatchFactory.create_batch(10, organisation=clinic.organisation)
        assert queries(lambda: clinic.get("/batches")) == few <= 4


def test_a_batch_is_made_and_submitted_in_a_constant_number_of_queries(clinic: Clinic) -> None:
    good(clinic.get("/batches"))  # notes the key's use
    made, submitted = [], []
    for count in (2, 30):
        rows = [case(f"c{n}", patient_id=f"p{count}-{n}") for n in range(count)]
        made.append(queries(lambda rows=rows: clinic.post("/batches", {"cases": rows})))  # type: ignore[misc]
        batch = Batch.objects.latest("created_at")
        batch.images.update(state="stored", stored_at=batch.created_at)
        submitted.append(queries(lambda b=batch: clinic.post(f"/batches/{b.pk}/submit")))  # type: ignore[misc]
    assert made[0] == made[1] <= 10
    assert submitted[0] == submitted[1] <= 15


def test_a_filter_meets_the_newest_answer_only(clinic: Clinic) -> None:
    row = CaseFactory(batch=BatchFactory(organisation=clinic.organisation))
    old, new = ReleaseFactory(), ReleaseFactory()
    CaseResultFactory(case=row, release=old, advice="self_monitor", top_class="NV")
    CaseResultFactory(case=row, release=new, advice="urgent_referral", top_class="MEL")
    assert good(clinic.get("/cases", advice="self_monitor"))["results"] == []
    assert good(clinic.get("/cases", top_class="NV"))["results"] == []
    (found,) = good(clinic.get("/cases", advice="urgent_referral", top_class="MEL"))["results"]
    assert found["result"]["release"]["name"] == new.name
    detail = good(clinic.get(f"/batches/{row.batch_id}"))
    assert detail["progress"]["advice"] == {"urgent_referral": 1, "routine_referral": 0, "self_monitor": 0}


def test_a_batch_of_ten_thousand_cases_is_made_at_once(
    clinic: Clinic, django_assert_max_num_queries: MaxQueries
) -> None:
    rows = [case(f"c{n}", patient_id=f"p{n % 7000}", age=n % 90, sex="male") for n in range(10_000)]
    with django_assert_max_num_queries(60):
        batch = clinic.create(*rows)
    assert len(batch["images"]) == 10_000
    assert [i["case_id"] for i in batch["images"]] == [row["case_id"] for row in rows]
    assert (Case.objects.count(), Image.objects.count()) == (10_000, 10_000)
