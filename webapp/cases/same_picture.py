"""One picture that comes for two cases of a batch: nobody here knows whose it is, so it answers neither, until their
clinic sends another for one of them, or says by insisting whose it is.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable

from django.db.models import Q
from django.utils import timezone

from ml.imaging.refusal import SENTENCES
from webapp.audit.services import SYSTEM, record
from webapp.cases.models import IN_TWO_CASES, NO_ANSWER, Batch, Case, Image
from webapp.cases.review import record_opinion
from webapp.inference.completion import combine_answered
from webapp.inference.models import CaseResult, Job, Result
from webapp.labels.models import Consensus

CAME_TOO = "Case {} of this batch came with this picture, too"
ANSWERS_NEITHER = (
    f"{CAME_TOO}, so it answers neither. Find out whose it is: use it for that case, and send another for the other, "
    "in a new batch if this one takes no more files."
)
IS_RELEASED = (
    f"{CAME_TOO}, and its result is released. Find out whose it is. If it is of this case, tell the other patient, and "
    "put it in a new batch."
)
IS_USED = "Case {} of this batch uses this picture. If it is of this case, put it in a new batch; if not, send another."


class SamePictures:
    """The pictures of a batch, which is locked, by their bytes, while the check of some of them ends."""

    def __init__(self, batch: Batch, digests: Iterable[str]) -> None:
        self._there = defaultdict[str, list[Image]](list)
        wanted = {digest for digest in digests if digest}
        for state in (Image.State.READY, Image.State.REJECTED):  # one by one: each has an index of its own
            pictures = batch.images.filter(state=state, sha256__in=wanted).exclude(reason="duplicate")
            for image in pictures.select_related("case"):
                self._there[image.sha256].append(image)
        self._ended_before = {image.pk for images in self._there.values() for image in images}
        self.changed: dict[Image, bool] = {}  # of these, unsaved; and whether they were ready and are no more

    def judge(self, image: Image) -> None:
        """Refuse an image whose check has just ended, unsaved, where another of its case has the same picture; and all
        that came for several cases, but one of a case whose patient has the result. Who sends a picture once more,
        after it was refused, says whose it is.
        """
        same = self._there[image.sha256] if image.sha256 else []
        others = [other for other in same if other.case_id != image.case_id and (_is_ready(other) or not image.tries)]
        for other in others:
            if _is_ready(other) and other.case.released_at:
                self._flag(other, image.case)
            else:
                self._doubt(other, ANSWERS_NEITHER, image.case)
        if others:
            released = next(filter(_is_ready, others), None)
            self._doubt(image, IS_RELEASED if released else ANSWERS_NEITHER, (released or others[0]).case)
        elif _is_ready(image) and any(map(_is_ready, same)):
            _refuse(image, "duplicate", SENTENCES["duplicate"])
            return
        same.append(image)

    def _doubt(self, image: Image, told: str, other: Case) -> None:
        """Let an image answer nothing, as the `other` case has its picture, too."""
        self._flag(image, other)
        if _is_ready(image):
            _refuse(image, IN_TWO_CASES, told.format(other.external_id))
            if image in self.changed:
                self.changed[image] = True

    def _flag(self, image: Image, other: Case) -> None:
        """Say of an image that the `other` case has its picture, too."""
        if image.pk in self._ended_before:
            self.changed.setdefault(image, False)
        if not image.is_in_two_cases:
            image.quality = [*image.quality, {"code": IN_TWO_CASES, "advice": _flagged(other)}]


def tell_others(image: Image) -> None:
    """Say of the other images that were refused for the same picture that it is used for this one, where somebody has
    said so: those of its case are duplicates now.
    """
    others = Image.objects.filter(batch=image.batch_id, sha256=image.sha256, reason=IN_TWO_CASES)
    others.exclude(case=image.case_id).update(advice=IS_USED.format(image.case.external_id))
    others.filter(case=image.case_id).update(reason="duplicate", advice=SENTENCES["duplicate"], quality=[])


def in_use(batch: Batch, images: Iterable[Image]) -> set[str]:
    """Those of the images' digests that a ready image of their batch has: nobody can insist on another one."""
    ready = batch.images.filter(state=Image.State.READY, sha256__in={image.sha256 for image in images})
    return set(ready.values_list("sha256", flat=True))


def take_back(images: Collection[Image]) -> tuple[list[Image], int]:
    """End what the model does with images of a batch that was sent and is locked, which were ready and are refused by
    now, and take back what it has said of them. Gives those that it had still to answer, and how many of all ended
    without a result by this alone.
    """
    jobs = Job.objects.filter(image__in=images)
    newest = dict(jobs.order_by("pk").values_list("image_id", "state"))
    answered = set(Result.objects.filter(image__in=images).values_list("image_id", flat=True))
    at_model = [image for image in images if newest.get(image.pk) in Job.LIVE]
    failed = [pk for pk, state in newest.items() if state == Job.State.FAILED and pk not in answered]
    cases = Case.objects.filter(pk__in={image.case_id for image in images if image.pk in answered})
    cases.update(**NO_ANSWER)
    CaseResult.objects.filter(case__in=cases).delete()
    agreed_on = set(Consensus.objects.filter(image__in=images).values_list("image__case_id", flat=True))
    Case.objects.filter(pk__in=agreed_on).update(opinion="")
    heed_consensus(Image.objects.filter(case__in=agreed_on).exclude(state=Image.State.REJECTED))
    jobs.delete()  # with their results: who insists on one of the images begins anew
    for case in cases.select_related("organisation"):
        record(actor=SYSTEM, action="case.answer_taken_back", object_id=case.pk, organisation=case.organisation)
    combine_answered(cases=cases)
    return at_model, len(images) - len(failed)


def heed_consensus(images: Iterable[Image]) -> None:
    """Let their cases have the opinion that dermatologists agree on for these images."""
    for agreed in Consensus.objects.filter(image__in=images).select_related("image"):
        record_opinion(image=agreed.image, dx=agreed.dx)


def forget_name(*, batch: Batch, case: Case) -> None:
    """Let the images of other cases no longer say that this case came with their picture: also where it has sent
    another since.
    """
    said, unnamed = (text.format(case.external_id) for text in ("Case {} of this batch", "Another case of this batch"))
    flags = [{"code": IN_TWO_CASES, "advice": _flagged(case)}]
    for image in batch.images.filter(Q(advice__startswith=said) | Q(quality__contains=flags)).exclude(case=case):
        image.advice = image.advice.replace(said, unnamed)
        image.quality = [{**flag, "advice": flag["advice"].replace(said, unnamed)} for flag in image.quality]
        image.save(update_fields=["advice", "quality"])


def _flagged(case: Case) -> str:
    return f"{CAME_TOO.format(case.external_id)}."


def _is_ready(image: Image) -> bool:
    return image.state == Image.State.READY


def _refuse(image: Image, reason: str, told: str) -> None:
    image.state, image.reason, image.advice = Image.State.REJECTED, reason, told
    image.ended_at = timezone.now()
