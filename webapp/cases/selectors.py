"""What a clinic's staff may see of batches, cases and images, and in which order; and where a case stands."""

from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    BooleanField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce

from ml.classes import DISPLAY_NAMES
from webapp.accounts.models import Membership, Organisation, Patient, User
from webapp.cases.models import NEEDS_REVIEW_AGAIN, NO_RESULT_UNACKNOWLEDGED, TO_REVIEW, URGENCY, Batch, Case, Image
from webapp.cases.opinions import REVIEW_TURN
from webapp.cases.retakes import awaits_better_photo
from webapp.inference.models import Job
from webapp.pages.words import CLOSE, NEAR

MOST_URGENT_FIRST = ("urgency", "-risk", "created_at", "id")  # without an answer: as the manifest lists them
IN_REVIEW = ("review_turn", *MOST_URGENT_FIRST)  # of cases that `to_review` gives
NEWEST_FIRST = ("-created_at", "id")
UNCERTAINTIES = {"low": (0, CLOSE), "medium": (CLOSE, NEAR), "high": (NEAR, 1)}  # a deviation is at most 0.5
FILTERS = ("q", "advice", "dx", "uncertainty", "review", "source")
REVIEW_COUNTED = 99
REVIEWS = {
    "to_review": "To review",
    "released": "Released",
    "again": "To review again",
    "waiting": "Without a result",
}
COMPLETED = (Batch.State.COMPLETED, Batch.State.COMPLETED_WITH_FAILURES)


def batches_of(organisation: Organisation, filters: Mapping[str, str]) -> "QuerySet[Batch]":
    """An organisation's batches with their number of `cases_there`, of cases `to_review` (as many as `capped_count`
    tells apart), and of images `at_model` where they are cancelled, by `state`, `source` and a search `q`.
    """
    jobs = Job.objects.filter(batch=OuterRef("pk"))
    waiting = Case.objects.filter(TO_REVIEW, batch=OuterRef("pk")).order_by().values("batch")
    first_to_review = ArraySubquery(waiting[: REVIEW_COUNTED + 1])
    batches = Batch.objects.filter(organisation=organisation).annotate(
        cases_there=Coalesce("case_count", cases_there()),  # Postgres counts only where none is kept
        to_review=Func(first_to_review, function="CARDINALITY", output_field=IntegerField()),
        at_model=_counted(jobs.filter(state__in=Job.LIVE, batch__state=Batch.State.CANCELLED)),
    )
    if (state := filters.get("state")) in Batch.State.values:
        batches = batches.filter(state=state)
    if (source := filters.get("source")) in Batch.Source.values:
        batches = batches.filter(source=source)
    if words := words_in(filters):
        named = Case.objects.filter(batch=OuterRef("pk"), external_id__iexact=words)
        batches = batches.filter(Q(name__icontains=words) | Exists(named))
    return batches


def cases_there() -> Coalesce:
    """The number of a batch's cases, for a query of batches."""
    return _counted(Case.objects.filter(batch=OuterRef("pk")))


def _counted(of_batch: QuerySet[Any, Any]) -> Coalesce:
    count = of_batch.order_by().values("batch").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(count, output_field=IntegerField()), 0)


def filter_cases(cases: QuerySet[Any], filters: Mapping[str, str]) -> QuerySet[Any]:
    """The cases with this `advice`, class (`dx`), `uncertainty`, `review` state and `source` of their batch, and `q` in
    the clinic's own id.
    """
    if (advice := filters.get("advice")) in URGENCY:
        cases = cases.filter(advice=advice, urgency=URGENCY[advice])  # the same twice: indexes are in order of urgency
    if (dx := filters.get("dx")) in DISPLAY_NAMES:
        cases = cases.filter(top_class=dx)
    if (band := filters.get("uncertainty")) in UNCERTAINTIES:
        least, most = UNCERTAINTIES[band]
        cases = cases.filter(uncertainty__gte=least, uncertainty__lt=most)
    if (source := filters.get("source")) in Batch.Source.values:
        cases = cases.filter(source=source)
    if words := words_in(filters):
        cases = cases.filter(external_id__icontains=words)
    match filters.get("review"):
        case "to_review":
            cases = cases.filter(TO_REVIEW)
        case "released":
            cases = cases.filter(released_at__isnull=False)
        case "again":
            cases = cases.filter(NEEDS_REVIEW_AGAIN)
        case "waiting":
            cases = cases.filter(advice="", erased_at=None)
    return cases


def to_review(organisation: Organisation) -> "QuerySet[Case]":
    """An organisation's cases whose result nobody has given to the patient, of all its batches."""
    return Case.objects.filter(TO_REVIEW, organisation=organisation).annotate(review_turn=REVIEW_TURN)


def waiting_again(organisation: Organisation) -> "QuerySet[Case]":
    """An organisation's cases whose result was released and that a clinician has to look at again: those that a later
    answer, or what dermatologists agree on, calls more urgent than what the patient was given; then those whose link
    wrong dates of birth have locked; of each what waits longest first.
    """
    waiting = Case.objects.filter(NEEDS_REVIEW_AGAIN, organisation=organisation)
    return waiting.order_by(F("raised_at").asc(nulls_last=True), "link_locked_at", "id")


class _OneOf(Func):
    """Whether a value is in an array: Postgres looks each of these up in an index, where a join reads all that has no
    answer.
    """

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = BooleanField()


def without_result(organisation: Organisation) -> "QuerySet[Case]":
    """An organisation's cases that ended without a result, until somebody has seen to them; what waits longest first.

    Not those of a batch that is open, under way or cancelled; nor a patient's photo where they have sent a newer one of
    the spot.
    """
    newer = Case.objects.filter(
        Q(answer__isnull=False) | Q(batch__state__in=[Batch.State.SUBMITTED, *COMPLETED]),
        patient=OuterRef("patient"),
        lesion_id=OuterRef("lesion_id"),
        created_at__gt=OuterRef("created_at"),
    )
    failed = Batch.objects.filter(organisation=organisation, state=Batch.State.COMPLETED_WITH_FAILURES)
    ended = Case.objects.filter(
        NO_RESULT_UNACKNOWLEDGED, _OneOf(F("batch"), ArraySubquery(failed.order_by().values("pk")))
    )
    sent_again = Q(source=Batch.Source.PATIENT) & ~Q(lesion_id="") & Exists(newer)
    return ended.exclude(sent_again).order_by("created_at", "id")


def unanswered(organisation: Organisation) -> "QuerySet[Case]":
    """Those `without_result` whose patient is not expected to send a better photo: nothing more comes by itself."""
    return without_result(organisation).exclude(awaits_better_photo())


def unanswered_first(organisation: Organisation) -> QuerySet[Any]:
    """Those `without_result`: first the `unanswered`, then the others, which are `awaiting_photo`."""
    awaiting = ExpressionWrapper(awaits_better_photo(), output_field=BooleanField())
    return without_result(organisation).annotate(awaiting_photo=awaiting).order_by("awaiting_photo", "created_at", "id")


def with_release(cases: "QuerySet[Case]") -> "QuerySet[Case]":
    """The cases with patient and batch, and with the `release` of their answer and its `release_state`, for rows."""
    cases = cases.select_related("patient", "batch")
    return cases.annotate(release=F("answer__release"), release_state=F("answer__release__state"))


def review_count(organisation: Organisation) -> str:
    """How many cases wait for review, those to be looked at again and those `unanswered` too, as the navigation says
    it: none as nothing, and many as more than 99.
    """
    new, *others = (
        cases(organisation).order_by().values("pk")[: REVIEW_COUNTED + 1]
        for cases in (to_review, waiting_again, unanswered)
    )
    count = new.union(*others, all=True).count()
    return capped_count(count) if count else ""


def capped_count(count: int) -> str:
    """A number of cases as lists and the navigation show it, with more than 99 as “99+”."""
    return f"{REVIEW_COUNTED}+" if count > REVIEW_COUNTED else str(count)


def classes_named(batch: Batch) -> dict[str, str]:
    """The classes that answers of this batch name as likeliest, with their names, in the order used everywhere."""
    named = set(batch.cases.order_by().values_list("top_class", flat=True).distinct())
    return {code: name for code, name in DISPLAY_NAMES.items() if code in named}


def stage(case: Case) -> str:
    """Where a case without a result stands, as one of the states that have words."""
    if case.erased_at:
        return "erased"
    states = [image.state for image in case.images.all()]
    if case.batch.state != Batch.State.CANCELLED:
        for state in Image.UNENDED:
            if state in states:
                return state
    cancelled = case.batch.state == Batch.State.CANCELLED
    kept_waiting = {Image.State.READY, Image.State.EXPIRED} if cancelled else {Image.State.READY}
    if states and kept_waiting.isdisjoint(states):
        ended = (Image.State.REJECTED, Image.State.PURGED, Image.State.EXPIRED)
        return next(state for state in (*Image.UNENDED, *ended) if state in states)
    if cancelled and not is_at_model(case):
        return "cancelled"
    return "no_result" if case.batch.state in COMPLETED else "waiting"


def is_at_model(case: Case) -> bool:
    """Whether an image of the case waits for the model, or is there."""
    return any(job.state in Job.LIVE for image in case.images.all() for job in image.jobs.all())


def for_stage(batch: Batch) -> list[str]:
    """What to fetch with this batch's cases, so that `stage` asks for no case alone."""
    return ["images__jobs"] if batch.state == Batch.State.CANCELLED else ["images"]


def has_more(patient: Patient, case: Case) -> bool:
    """Whether a patient has an account, or another case than this one."""
    return patient.user_id is not None or patient.cases.exclude(pk=case.pk).exists()


def viewable_images(user: User | AnonymousUser, kind: str) -> "QuerySet[Image]":
    """The images whose picture of this kind (clean, thumbnail, heatmap) a person may see.

    Annotators never see a heatmap: it is the model's answer, nor what its patient does not let models learn from.
    Patients see theirs once the result is released.
    """
    images = Image.objects.filter(width__gt=0).exclude(state=Image.State.PURGED)
    if not isinstance(user, User):
        return images.none()
    if user.role == Membership.Role.PROVIDER:
        return images.filter(organisation=user.membership.organisation)
    if user.role == Membership.Role.ANNOTATOR and kind != "heatmap":
        return images.filter(organisation=user.membership.organisation, case__patient__training_consent=True)
    if user.role == "patient":
        own = images.filter(case__patient__user=user)
        return own.filter(case__released_at__isnull=False) if kind == "heatmap" else own
    return images.none()


def unusable_images(batch: Batch) -> "QuerySet[Image]":
    """The images of a batch that were refused, with their cases."""
    return batch.images.filter(state=Image.State.REJECTED).select_related("case").order_by("case__external_id", "pk")


def awaited_images(batch: Batch) -> "QuerySet[Image]":
    """The images of an open batch that have not arrived."""
    return _missing(batch, Image.State.AWAITING_UPLOAD)


def late_images(batch: Batch) -> "QuerySet[Image]":
    """The images of an open batch that have not arrived in time, and are not taken any more."""
    return _missing(batch, Image.State.EXPIRED)


def _missing(batch: Batch, state: str) -> "QuerySet[Image]":
    missing = batch.images.filter(state=state, batch__state=Batch.State.OPEN)
    return missing.select_related("case").order_by("created_at", "pk")


def words_in(wanted: Mapping[str, str]) -> str:
    """What is searched for, in the form that ids are kept in; Postgres takes no NUL."""
    return normalize("NFC", wanted.get("q", "").replace("\0", "").strip())
