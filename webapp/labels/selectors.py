"""Which images wait for an annotator, most informative first and one in four by chance, and what was said so far."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from ml.classes import BINARY, CLASSES
from webapp.accounts.models import Membership, Organisation, User
from webapp.cases.models import Image
from webapp.inference.models import DRAWN_BELOW, NEWEST, ONE_IN, Result
from webapp.labels.models import Consensus, Label

Role = Membership.Role
ENOUGH = 2  # answers that settle an image when they agree
MOST = 3  # answers that an image is ever given
COUNTED = 1000  # of the images left; the rest is not counted

# An image needs labels: fewer answers (given, or on somebody's screen) than are needed. Two without a consensus are a
# disagreement, which needs a third. Nobody is asked twice about the same bytes, in whichever batch they came, nor about
# photos whose patient does not agree that models learn from them: that is what labels are for. (In a subquery of its
# own, which is asked of each row: a join would let the planner leave the order of the index.)
NEEDS_LABELS = """
    image.organisation_id = %(organisation)s AND image.state = 'ready'
    AND (SELECT count(*) FROM labels_assignment asked WHERE asked.image_id = image.id
            AND asked.expires_at > %(now)s AND asked.annotator_id <> %(annotator)s)
        < (SELECT CASE count(*) WHEN 2 THEN 1 ELSE 2 - count(*) END FROM labels_label given
            WHERE given.image_id = image.id AND given.state = 'submitted')
    AND NOT EXISTS (SELECT FROM labels_consensus settled WHERE settled.image_id = image.id)
    AND NOT EXISTS (
        SELECT FROM labels_label mine JOIN cases_image seen ON seen.id = mine.image_id
        WHERE mine.annotator_id = %(annotator)s AND seen.sha256 = image.sha256
    )
    AND (SELECT patient.training_consent FROM cases_case shown JOIN accounts_patient patient
            ON patient.id = shown.patient_id WHERE shown.id = image.case_id)
"""
COUNT_LEFT = """
SELECT count(*) FROM (SELECT FROM cases_image image WHERE {open} ORDER BY image.ended_at LIMIT %(limit)s) counted
"""
DISAGREED = """
SELECT image.id FROM (
    SELECT image_id FROM labels_label WHERE state = 'submitted' GROUP BY image_id HAVING count(*) = 2
) given JOIN cases_image image ON image.id = given.image_id
WHERE {open} ORDER BY image.created_at, image.id LIMIT %(limit)s
"""
# Those that chance drew, in the order of their random ids, whatever the model thinks of them.
DRAWN_AT_RANDOM = """
SELECT image.id FROM inference_result result JOIN cases_image image ON image.id = result.image_id
WHERE result.organisation_id = %(organisation)s AND result.doubt IS NOT NULL AND result.image_id < %(drawn_below)s
    AND {open}
ORDER BY result.image_id LIMIT %(limit)s
"""
# The others: where the model is least sure of its advice. One with two results appears twice, no harm.
LEAST_CERTAIN = """
SELECT image.id FROM inference_result result JOIN cases_image image ON image.id = result.image_id
WHERE result.organisation_id = %(organisation)s AND result.doubt IS NOT NULL AND result.image_id >= %(drawn_below)s
    AND {open}
ORDER BY result.doubt LIMIT %(limit)s
"""
WITHOUT_PREDICTION = """
SELECT image.id FROM cases_image image
WHERE NOT EXISTS (
    SELECT FROM inference_result result WHERE result.image_id = image.id AND result.organisation_id IS NOT NULL
) AND {open}
ORDER BY image.created_at, image.id LIMIT %(limit)s
"""


def candidates(*, organisation: Organisation, annotator: User, limit: int) -> list[uuid.UUID]:
    """Images that may be shown to this annotator next, best first; another request may take them meanwhile.

    Disagreements, then chance's turn or the model's doubt, and last what the model has not seen, oldest first. Those
    of chance and of doubt read the beginning of an index, so that they take as long for a million images as for a
    thousand; the last, which reads all of the organisation's, is asked only where the others give too few.
    """
    lately = Label.objects.filter(annotator=annotator).order_by("-pk").values_list("image_id", flat=True)[: ONE_IN - 1]
    turns = (
        (LEAST_CERTAIN, DRAWN_AT_RANDOM)
        if any(drawn(image_id) for image_id in lately)
        else (DRAWN_AT_RANDOM, LEAST_CERTAIN)
    )
    image_ids = dict[uuid.UUID, None]()  # ordered
    for query in (DISAGREED, *turns, WITHOUT_PREDICTION):
        if len(image_ids) < limit:
            rows = _fetch(query, organisation, annotator, limit=limit, drawn_below=DRAWN_BELOW)
            image_ids |= dict.fromkeys(row[0] for row in rows)
    return list(image_ids)[:limit]


def drawn(image_id: uuid.UUID) -> bool:
    """Whether an image is one of those that chance shows to annotators."""
    return image_id < DRAWN_BELOW


def left_in_queue(*, organisation: Organisation, annotator: User) -> int:
    """How many images this annotator could still be asked about, the one on their screen included; COUNTED at most."""
    return int(_fetch(COUNT_LEFT, organisation, annotator, limit=COUNTED)[0][0])


def _fetch(sql: str, organisation: Organisation, annotator: User, **more: Any) -> list[tuple[Any, ...]]:
    values = {"organisation": organisation.pk, "annotator": annotator.pk, "now": timezone.now(), **more}
    with connection.cursor() as cursor:
        cursor.execute(sql.format(open=NEEDS_LABELS), values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def still_open(*, image: Image, annotator: User, now: datetime) -> bool:
    """Whether one more answer is needed besides those given and those that others have on their screens."""
    answers = image.labels.count()
    asked = image.assignments.filter(expires_at__gt=now).exclude(annotator=annotator).count()
    return needs_answers(image) and answers + asked < (MOST if answers == ENOUGH else ENOUGH)


def needs_answers(image: Image) -> bool:
    """Whether an answer can still change what holds for this image, and its patient agrees that one is asked for."""
    return (
        image.state == Image.State.READY
        and image.case.patient.training_consent
        and image.labels.count() < MOST
        and not Consensus.objects.filter(image=image).exists()
    )


def standing_result(image: Image) -> Result | None:
    """The newest prediction for an image."""
    return Result.objects.filter(image=image).select_related("release").order_by(*NEWEST).first()


@dataclass(frozen=True)
class Given:
    """An answer that somebody gave, beside the model's where they may see it."""

    label: Label
    can_undo: bool
    result: Result | None  # None also while the label is not final
    comparable: bool  # the model has an answer, which may be asked for

    @property
    def differs(self) -> bool:
        """Whether a class was named and the model's is another."""
        return self.result is not None and differs(self.label.dx, self.result)


def differs(dx: str, result: Result | None) -> bool:
    """Whether `dx` names a class and the prediction's top class is another."""
    return result is not None and dx in result.probabilities and result.top_class != dx


def not_final(labels: "QuerySet[Label]") -> "QuerySet[Label]":
    """Those that nothing follows from yet: their annotators are still blind, and each is its image's only one.

    Beside another it would tell whether the two agree, and where they do not, each may have been shown the other.
    """
    others = Label.objects.filter(image=OuterRef("image")).exclude(pk=OuterRef("pk"))
    return labels.filter(~Exists(others), compared_at=None)


def to_change(labels: "QuerySet[Label]") -> "QuerySet[Label]":
    """Those that may be taken back, to answer anew: not final, of photos that annotators are still asked about."""
    return not_final(labels).filter(image__state=Image.State.READY, image__case__patient__training_consent=True)


def last_given(annotator: User) -> Given | None:
    """The annotator's last answer; with the model's once the label is final, because until then they are blind."""
    label = labels_of(annotator).first()
    if label is None:
        return None
    this, result = Label.objects.filter(pk=label.pk), standing_result(label.image)
    return Given(label, to_change(this).exists(), None if not_final(this).exists() else result, result is not None)


def done_since(*, annotator: User, since: datetime) -> int:
    """How many labels the annotator has given from then on."""
    return Label.objects.filter(annotator=annotator, created_at__gte=since).count()


def labels_of(annotator: User) -> "QuerySet[Label]":
    """Everything the annotator has said about images of the organisation that they are in now, newest first, and
    whether they can still change it.
    """
    changeable = Exists(to_change(Label.objects.filter(pk=OuterRef("pk"))))
    return (
        Label.objects.filter(annotator=annotator, image__organisation=F("annotator__membership__organisation"))
        .annotate(can_change=changeable)
        .select_related("image__case__patient", "image__consensus__result__release")
        .order_by("-pk")
    )


def compared_with_model(labels: "QuerySet[Label]", *, agrees: bool) -> "QuerySet[Label]":
    """Those of settled images that name a class, and the same (or another) class as the prediction that stood."""
    same = Q(dx=F("image__consensus__result__top_class"))
    settled = labels.filter(dx__in=CLASSES, image__consensus__result__isnull=False)
    comparable = settled.exclude(image__consensus__result__top_class__in=BINARY.codes)
    return comparable.filter(same if agrees else ~same)


def annotators(organisation: Organisation) -> "QuerySet[Membership]":
    """Who can be asked about the organisation's images."""
    return Membership.objects.filter(organisation=organisation, role=Role.ANNOTATOR, user__is_active=True)


def disagreements(organisation: Organisation) -> "QuerySet[Image]":
    """Images on which annotators disagree and nobody is left to ask, oldest first: they stay out of training.

    They have three answers, or two where each annotator of the organisation has said something about that picture. Not
    those of patients who no longer agree that models learn from them.
    """
    submitted = Label.objects.filter(state=Label.State.SUBMITTED).values("image")
    answered = submitted.annotate(answers=Count("pk")).values("image")
    has_answered = Label.objects.filter(annotator=OuterRef("user"), image__sha256=OuterRef(OuterRef("sha256")))
    nobody_left = ~Exists(annotators(organisation).filter(~Exists(has_answered)))
    # The few with answers enough come first in each: who has answered is a long question.
    enough = Q(pk__in=answered.filter(answers=MOST)) | Q(pk__in=answered.filter(answers=ENOUGH)) & nobody_left
    return (
        Image.objects.filter(enough, organisation=organisation, consensus=None, case__patient__training_consent=True)
        .exclude(state=Image.State.PURGED)
        .select_related("case")
        .prefetch_related("labels")
        .order_by("created_at", "pk")
    )
