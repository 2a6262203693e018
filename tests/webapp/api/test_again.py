"""The API sends images to the model once more, and shows what each release answered."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import BatchFactory, CaseResultFactory, ImageFactory, JobFactory, ReleaseFactory, ResultFactory
from tests.webapp.api.clinic import Clinic, good, problem
from webapp.cases.models import Batch

pytestmark = pytest.mark.django_db


def test_failed_images_run_again_once(clinic: Clinic) -> None:
    batch = BatchFactory(organisation=clinic.organisation, completed=True)
    Batch.objects.filter(pk=batch.pk).update(state=Batch.State.COMPLETED_WITH_FAILURES, failures=1)
    image = ImageFactory(case__batch=batch, ready=True)
    an_hour_ago = timezone.now() - timedelta(hours=1)
    JobFactory(image=image, state="failed", reason="attempts_spent", finished_at=an_hour_ago)

    answer = good(clinic.post(f"/batches/{batch.pk}/rerun"))
    assert (answer["state"], answer["remaining"], answer["failures"]) == ("submitted", 1, 0)
    assert answer["progress"]["per_minute"] is None
    assert problem(clinic.post(f"/batches/{batch.pk}/rerun"), 409)["code"] == "nothing_failed"


def test_a_newer_release_is_asked_once_and_each_answer_names_its_release(clinic: Clinic) -> None:
    batch = BatchFactory(organisation=clinic.organisation, completed=True)
    image = ImageFactory(case__batch=batch, ready=True)
    old, new = ReleaseFactory(name="old"), ReleaseFactory(name="new", active=True)
    ResultFactory(job=JobFactory(image=image, succeeded=True), release=old)
    CaseResultFactory(case=image.case, release=old)

    assert good(clinic.post(f"/batches/{batch.pk}/rescore"))["remaining"] == 1
    assert problem(clinic.post(f"/batches/{batch.pk}/rescore"), 409)["code"] == "already_scored"

    batch.jobs.filter(state="queued").update(state="succeeded", finished_at=timezone.now())
    ResultFactory(job=batch.jobs.latest("pk"), release=new)
    CaseResultFactory(case=image.case, release=new)
    case = good(clinic.get(f"/cases/{image.case_id}"))
    assert case["result"]["release"]["name"] == "new"
    assert [other["release"]["name"] for other in case["other_results"]] == ["old"]
    (shown,) = case["images"]
    assert shown["result"]["release"]["name"] == "new"
    assert [other["release"]["name"] for other in shown["other_results"]] == ["old"]


def test_cases_are_found_by_how_sure_the_model_is(clinic: Clinic) -> None:
    sure, unsure = [
        CaseResultFactory(case__batch__organisation=clinic.organisation, uncertainty=uncertainty).case
        for uncertainty in (0.01, 0.3)
    ]

    def found(**query: float) -> list[str]:
        return [row["id"] for row in good(clinic.get("/cases", **query))["results"]]

    assert found(uncertainty_min=0.1) == [str(unsure.pk)]
    assert found(uncertainty_max=0.1) == [str(sure.pk)]
