"""A case is erased while something is under way with it, or something dies: the counts hold, and nothing comes back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.factories import (
    ArchiveFactory,
    CaseFactory,
    ImageFactory,
    OrganisationFactory,
    ReleaseFactory,
)
from tests.webapp.cases.files import left_of, with_files
from tests.webapp.cases.telling import MARK, everything, only, telling
from tests.webapp.elsewhere import elsewhere
from tests.webapp.inference.scenes import outcome
from webapp import storage
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases import erasure, retention
from webapp.cases.erasure import erase_case
from webapp.cases.intake import InspectionResult, claim_images, finish_intake
from webapp.cases.manifest.spec import CaseSpec
from webapp.cases.models import Batch, Image
from webapp.cases.originals import forget_originals
from webapp.cases.services import Submission, create_batch, submit_batch
from webapp.errors import Problem
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult, Job, Result
from webapp.inference.services import finish, sweep_jobs
from webapp.notify.models import Message
from webapp.webhooks.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_inspection_that_has_begun_brings_nothing_back() -> None:
    image = ImageFactory(case__batch__submitted=True, stored=True)
    token, [leased] = claim_images(limit=1)

    erase_case(actor=SYSTEM, case=image.case)
    storage.write(image.clean_key, b"skin")

    assert finish_intake(token=token, inspected=[(leased, InspectionResult("a" * 64, 600, 450))]) == []
    assert Batch.objects.values_list("state", "failures").get() == ("completed_with_failures", 1)
    Image.objects.update(ended_at=timezone.now() - timedelta(days=1))
    forget_originals()
    assert left_of([image.clean_key]) == []


@pytest.mark.parametrize("claimed", [False, True])
def test_the_model_does_not_answer_late(claimed: bool) -> None:
    image = ImageFactory(ready=True)
    submit_batch(actor=SYSTEM, batch=image.batch)
    token, jobs = claim_jobs(limit=int(claimed))

    erase_case(actor=SYSTEM, case=image.case)

    assert finish(token=token, ends=[(job, outcome(ReleaseFactory())) for job in jobs]) == set()
    assert sweep_jobs() == 0
    assert claim_jobs(limit=1)[1] == []
    assert (Result.objects.count(), only().advice) == (0, "")
    assert Job.objects.get().state == Job.State.CANCELLED
    assert Batch.objects.values_list("state", "remaining", "failures").get() == ("completed_with_failures", 0, 1)
    assert Message.objects.get().kind == "batch_completed"


def test_what_was_answered_before_is_not_given_to_the_patient_on_the_way_out() -> None:
    clinic = OrganisationFactory(release_policy="automatic")
    first = ImageFactory(ready=True, case__batch__organisation=clinic)
    ImageFactory(case=first.case, ready=True)
    waiting = ImageFactory(case=CaseFactory(batch=first.batch), ready=True)
    submit_batch(actor=SYSTEM, batch=first.batch)
    token, jobs = claim_jobs(limit=1)
    finish(token=token, ends=[(job, outcome(ReleaseFactory())) for job in jobs])

    erase_case(actor=SYSTEM, case=first.case)

    assert not CaseResult.objects.exists()
    assert not Message.objects.exists()
    assert not Delivery.objects.exists()
    assert not Event.objects.filter(action="case.released").exists()
    batch = Batch.objects.get()
    assert (batch.state, batch.remaining, batch.failures) == ("submitted", 1, 1)
    token, jobs = claim_jobs(limit=5)
    assert [job.image for job in jobs] == [waiting]
    finish(token=token, ends=[(job, outcome(ReleaseFactory())) for job in jobs])
    batch.refresh_from_db()
    assert (batch.state, batch.remaining, batch.failures) == ("completed_with_failures", 0, 1)


def test_nobody_is_asked_for_a_better_photo() -> None:
    image = ImageFactory(case__batch__source=Batch.Source.PATIENT, ready=True)
    submit_batch(actor=SYSTEM, batch=image.batch)

    erase_case(actor=SYSTEM, case=image.case)

    assert not Message.objects.exists()
    assert Batch.objects.values_list("state", "remaining").get() == ("completed_with_failures", 0)


def test_not_while_a_zip_is_being_unpacked() -> None:
    image = ImageFactory()
    ArchiveFactory(batch=image.batch, stored=True)

    with pytest.raises(Problem, match="is being unpacked"):
        erase_case(actor=SYSTEM, case=image.case)

    assert only().erased_at is None


def test_a_request_that_names_the_patient_in_this_moment_makes_them_anew() -> None:
    """It has found the patient there; before it has read the row, the patient's only case is erased."""
    image, erased = telling(), list[bool]()

    def erased_meanwhile(execute: Any, sql: str, *rest: Any) -> Any:
        if "FOR NO KEY UPDATE" in sql and 'FROM "accounts_patient"' in sql and not erased:
            erased.append(True)
            with ThreadPoolExecutor(1) as thread:
                thread.submit(elsewhere, partial(erase_case, actor=SYSTEM, case=image.case)).result()
        return execute(sql, *rest)

    again = CaseSpec(external_id="2", patient_id=MARK, filenames=["2.jpg"])
    with connection.execute_wrapper(erased_meanwhile):
        batch, _ = create_batch(
            actor=SYSTEM, organisation=image.organisation, submission=Submission(source="api"), cases=[again]
        )

    image.case.refresh_from_db()
    assert image.case.erased_at
    made = batch.cases.get().patient
    assert (made.external_id, made.email) == (MARK, "")


# what dies on the way


class Died(BaseException):
    """The process was killed."""


def died(**_: object) -> None:
    raise Died


def test_a_process_that_dies_before_has_changed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image = telling()
    keys = with_files(image)
    before = list(everything())

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "record", died)
        with pytest.raises(Died):
            erase_case(actor=SYSTEM, case=image.case)

    assert list(everything()) == before
    assert left_of(keys) == keys


def test_a_process_that_dies_after_leaves_no_file_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    image = telling()
    keys = with_files(image)

    def dies(images: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(retention, "delete_files", dies)
        with pytest.raises(Died):
            erase_case(actor=SYSTEM, case=image.case)

    assert left_of(keys) == keys
    Image.objects.update(ended_at=timezone.now() - timedelta(days=1))
    forget_originals()
    assert left_of(keys) == []
