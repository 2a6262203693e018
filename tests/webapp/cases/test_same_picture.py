"""One picture that comes for two cases of a batch: neither is answered by it, until somebody says whose it is."""

from collections.abc import Sequence
from typing import Any

import pytest

from ml.imaging.refusal import SENTENCES
from tests.factories import CaseFactory, ConsensusFactory, ImageFactory, ReleaseFactory
from tests.ml.imaging.samples import encode, skin_photo
from tests.webapp.api import clinic as software
from tests.webapp.api.clinic import case, good, problem
from tests.webapp.cases.same_picture import PICTURE, automatic, check, now, submitted, two_cases
from tests.webapp.inference.scenes import answer_all, outcome
from webapp.audit.models import Event
from webapp.audit.services import SYSTEM
from webapp.cases.intake import InspectionResult, claim_images, finish_intake, override_quality
from webapp.cases.models import IN_TWO_CASES, Batch, Case, Image
from webapp.cases.review import record_opinion
from webapp.cases.selectors import unanswered
from webapp.cases.services import submit_batch
from webapp.errors import Problem
from webapp.inference.claim import claim_jobs
from webapp.inference.models import CaseResult, Result
from webapp.inference.services import finish
from workers.intake import inspect_waiting

pytestmark = pytest.mark.django_db(transaction=True)

BLURRED = InspectionResult("a" * 64, 600, 450, [{"code": "blurred", "advice": "Hold."}], "blurred", "Hold.")


def combined(image: Image) -> int:
    """How many pictures the answer of its case is made of."""
    answer = now(image).case.answer
    return answer.images if answer else 0


def refusals(images: Sequence[Image]) -> list[tuple[str, str, str]]:
    return [(one.state, one.reason, one.advice[:6]) for one in map(now, images)]


BOTH = [("rejected", IN_TWO_CASES, "Case B"), ("rejected", IN_TWO_CASES, "Case A")]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("turned", [True, False])
def test_whichever_is_checked_first_neither_is_used_and_each_names_the_other(together: bool, turned: bool) -> None:
    images = two_cases()
    order = images[::-1] if turned else images
    if together:
        token, claimed = claim_images(limit=2)
        finish_intake(token=token, inspected=[(image, PICTURE) for image in order])
        assert len(claimed) == 2
    else:
        check(*order)
    assert refusals(images) == BOTH
    third = ImageFactory(case=CaseFactory(batch=images[0].batch, external_id="C"), stored=True)
    check(third)
    assert now(third).reason == IN_TWO_CASES
    batch = submit_batch(actor=SYSTEM, batch=images[0].batch)
    assert (batch.state, batch.failures, batch.remaining) == ("completed_with_failures", 3, 0)


def test_software_says_whose_it_is_or_sends_the_right_picture() -> None:
    clinic = software.Clinic()
    photo = encode(skin_photo(seed=4), "JPEG")
    batch = clinic.create(case("left", patient_id="1"), case("right", patient_id="2"))
    left, right = batch["images"]
    for image in (left, right):
        clinic.upload(image, photo)
    inspect_waiting()
    rows = good(clinic.get(f"/batches/{batch['id']}/images", state="rejected"))["results"]
    told = {row["case_id"]: (row["reason"], row["what_to_do"].partition(" of this batch")[0]) for row in rows}
    assert told == {"left": (IN_TWO_CASES, "Case right"), "right": (IN_TWO_CASES, "Case left")}

    assert good(clinic.post(f"/images/{left['id']}/override-quality"))["state"] == "ready"
    assert "left of this batch uses this picture" in good(clinic.get(f"/images/{right['id']}"))["what_to_do"]
    refused = problem(clinic.post(f"/images/{right['id']}/override-quality"), 409)
    assert (refused["code"], refused["detail"][:9]) == ("duplicate", "Case left")
    target = good(clinic.post(f"/images/{right['id']}/upload-url", {}))
    clinic.upload({"id": right["id"], "upload": target}, encode(skin_photo(seed=5), "JPEG"))
    inspect_waiting()
    assert {now_of["state"] for now_of in good(clinic.get(f"/batches/{batch['id']}/images"))["results"]} == {"ready"}


def test_who_sends_it_once_more_says_whose_it_is() -> None:
    left, right = two_cases()
    check(left, right)
    again: dict[str, Any] = {
        "state": "stored",
        "reason": "",
        "advice": "",
        "sha256": "",
        "quality": [],
        "ended_at": None,
        "tries": 1,
    }
    Image.objects.filter(pk=left.pk).update(**again)
    check(left)
    assert refusals([left, right]) == [("ready", "", ""), BOTH[1]]
    assert "A of this batch uses this picture" in now(right).advice
    Image.objects.filter(pk=right.pk).update(**again)
    check(right)
    assert refusals([left, right]) == BOTH


def ended(batch: Batch) -> tuple[str, int, int]:
    batch.refresh_from_db()
    return batch.state, batch.failures, batch.remaining


def test_what_waits_for_the_model_is_answered_no_more() -> None:
    left, right = two_cases()
    batch = submitted(left, right)
    check(right)
    assert refusals([left, right]) == BOTH
    assert ended(batch) == ("completed_with_failures", 2, 0)
    assert claim_jobs(limit=5)[1] == []


def test_what_is_at_the_model_is_answered_no_more() -> None:
    left, right = two_cases()
    batch = submitted(left, right)
    token, [job] = claim_jobs(limit=5)
    check(right)
    assert finish(token=token, ends=[(job, outcome(ReleaseFactory(active=True)))]) == set()
    assert not Result.objects.exists()
    assert ended(batch) == ("completed_with_failures", 2, 0)


def test_an_answer_that_nobody_was_given_is_taken_back() -> None:
    left, right = two_cases()
    other = ImageFactory(case=left.case, ready=True)
    batch = submitted(left, right)
    answer_all(ReleaseFactory(active=True))
    assert combined(left) == 2
    check(right)
    assert refusals([left, right]) == BOTH
    assert ended(batch) == ("completed_with_failures", 2, 0)
    assert list(Result.objects.values_list("image", flat=True)) == [other.pk]
    assert CaseResult.objects.get().images == combined(left) == 1
    assert Event.objects.filter(action="case.answer_taken_back", object_id=str(left.case_id)).count() == 1

    override_quality(actor=SYSTEM, image=now(left))
    assert ended(batch) == ("submitted", 1, 1)
    answer_all(ReleaseFactory())
    assert combined(left) == 2
    assert ended(batch) == ("completed_with_failures", 1, 0)


def test_an_answer_of_the_only_picture_is_taken_back() -> None:
    left, right = two_cases()
    batch = submitted(left, right)
    answer_all(ReleaseFactory(active=True))
    check(right)
    assert (now(left).case.answer, now(left).case.advice) == (None, "")
    assert not CaseResult.objects.exists()
    assert ended(batch) == ("completed_with_failures", 2, 0)
    assert set(unanswered(batch.organisation)) == {left.case, right.case}


def test_one_that_had_failed_is_not_counted_twice() -> None:
    left, right = two_cases()
    batch = submitted(left, right)
    token, [job] = claim_jobs(limit=5)
    finish(token=token, ends=[(job, "attempts_spent")])
    check(right)
    assert ended(batch) == ("completed_with_failures", 2, 0)


def test_what_a_patient_has_read_stays_and_the_clinic_is_told_by_the_other() -> None:
    left, right = two_cases(**automatic())
    batch = submitted(left, right)
    answer_all(ReleaseFactory(active=True))
    assert now(left).case.released_at
    check(right)
    assert refusals([left, right]) == [("ready", "", ""), BOTH[1]]
    assert "its result is released" in now(right).advice
    assert list(unanswered(batch.organisation)) == [right.case]
    assert [flag["advice"] for flag in now(left).quality] == ["Case B of this batch came with this picture, too."]
    assert Result.objects.filter(image=left).exists()
    with pytest.raises(Problem, match="Case A of this batch uses this picture"):
        override_quality(actor=SYSTEM, image=now(right))


def test_a_case_with_another_picture_waits_for_a_clinician() -> None:
    left, right = two_cases(**automatic())
    for image in (left, right):
        ImageFactory(case=image.case, ready=True)
    alone = ImageFactory(case=CaseFactory(batch=left.batch), ready=True)
    check(left, right)
    submit_batch(actor=SYSTEM, batch=left.batch)
    answer_all(ReleaseFactory(active=True))
    assert Case.objects.filter(answer__isnull=False).count() == 3
    assert list(Case.objects.filter(released_at__isnull=False)) == [alone.case]


def test_who_insists_on_a_blurred_one_of_two_cases_releases_it_themselves() -> None:
    left, right = two_cases(**automatic())
    check(left, right, result=BLURRED)
    assert refusals([left, right]) == [("rejected", "blurred", "The pi")] * 2
    override_quality(actor=SYSTEM, image=now(left))
    submit_batch(actor=SYSTEM, batch=left.batch)
    answer_all(ReleaseFactory(active=True))
    assert now(left).case.answer
    assert now(left).case.released_at is None


def test_a_copy_in_its_own_case_is_a_duplicate_of_what_is_used() -> None:
    left, right = two_cases()
    copy = ImageFactory(case=left.case, stored=True)
    check(left, right, copy)
    assert now(copy).reason == IN_TWO_CASES
    override_quality(actor=SYSTEM, image=now(left))
    assert (now(copy).reason, now(copy).advice) == ("duplicate", SENTENCES["duplicate"])
    assert "A of this batch uses this picture" in now(right).advice


def test_who_insists_on_both_copies_of_one_case_is_told_so() -> None:
    left, _ = two_cases()
    copy = ImageFactory(case=left.case, stored=True)
    check(left, copy, result=BLURRED)
    override_quality(actor=SYSTEM, image=now(left))
    with pytest.raises(Problem, match="already been sent in this batch"):
        override_quality(actor=SYSTEM, image=now(copy))


def test_what_dermatologists_agree_on_goes_and_comes_with_its_picture() -> None:
    left, right = two_cases()
    other = ImageFactory(case=left.case, ready=True)
    submitted(left, right)
    answer_all(ReleaseFactory(active=True))
    for image, dx in ((left, "MEL"), (other, "BCC")):
        ConsensusFactory(image=image, dx=dx)
        record_opinion(image=image, dx=dx)
    assert now(left).case.opinion == "MEL"
    check(right)
    assert now(left).case.opinion == "BCC"
    override_quality(actor=SYSTEM, image=now(left))
    assert now(left).case.opinion == "MEL"
