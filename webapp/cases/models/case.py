"""One lesion of one patient: what its clinic says of it, the answer that holds, and how it was reviewed."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value, When

from ml.advice import Advice
from webapp.accounts.models import CALLED
from webapp.cases.models.batch import Batch
from webapp.cases.opinions import LESS_URGENT, REVIEW_TURN

URGENCY = {advice.value: rank for rank, advice in enumerate(Advice)}  # 0 is the most urgent
TO_REVIEW = Q(released_at=None) & ~Q(advice="")  # a result that nobody has given to the patient
NEEDS_REVIEW_AGAIN = Q(raised_at__isnull=False) | Q(link_locked_at__isnull=False)  # of released results
# The order of what is to review; and last what it is narrowed to, which Postgres then looks at in the index alone.
REVIEWED_IN_TURN = (REVIEW_TURN, "urgency", F("risk").desc(), "created_at", "id", "top_class", "uncertainty")
NO_RESULT_UNACKNOWLEDGED = Q(answer=None, erased_at=None, no_result_seen_at=None)  # no clinician has acknowledged it
EMPTY_METADATA: dict[str, Any] = {  # of a case whose clinic sent none, or that is erased
    **dict.fromkeys(["lesion_id", "anatom_site", "notes"], ""),
    "age": None,
    "sex": "unknown",
    "capture": "unknown",
}
METADATA_FIELDS = tuple(EMPTY_METADATA)  # kept as its clinic sent them
NO_ANSWER = {"answer": None, "advice": "", "top_class": "", "risk": -1, "uncertainty": None}


class Case(models.Model):
    """One lesion of one patient, and the answer that holds for it.

    Lists sort and filter by what `webapp.inference.answers.set_current_answers` copies of it here, so that a page is
    one index scan.
    """

    class Sex(models.TextChoices):
        FEMALE = "female", "Female"
        MALE = "male", "Male"
        OTHER = "other", "Other"
        UNKNOWN = "unknown", "Unknown"

    class Capture(models.TextChoices):
        DERMOSCOPIC = "dermoscopic", "Dermoscopic"
        CLINICAL = "clinical", "Clinical close-up"
        PHONE = "phone", "Phone photo"
        UNKNOWN = "unknown", "Kind not given"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="cases")
    organisation = models.ForeignKey("accounts.Organisation", models.PROTECT, related_name="cases")
    patient = models.ForeignKey("accounts.Patient", models.PROTECT, related_name="cases")
    source = models.CharField(max_length=10, choices=Batch.Source, db_default="", help_text="That of its batch")
    external_id = models.CharField(max_length=100)
    lesion_id = models.CharField(max_length=100, blank=True, help_text="The same lesion in several cases")
    age = models.PositiveSmallIntegerField(null=True, blank=True)
    sex = models.CharField(max_length=10, choices=Sex, default=Sex.UNKNOWN)
    anatom_site = models.CharField(max_length=60, blank=True)
    capture = models.CharField(max_length=12, choices=Capture, default=Capture.UNKNOWN)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    reviewed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    reviewed_at = models.DateTimeField(null=True, blank=True)
    review_note = models.TextField(blank=True, help_text="Shown to the patient with the result")
    released_at = models.DateTimeField(null=True, blank=True)
    raised_at = models.DateTimeField(null=True, blank=True, help_text="When a more urgent answer came since")
    link_locked_at = models.DateTimeField(
        null=True, blank=True, help_text="When wrong dates of birth locked the link to it, until somebody saw to that"
    )
    erased_at = models.DateTimeField(null=True, blank=True, help_text="Since when this row is empty")
    no_result_seen_at = models.DateTimeField(null=True, blank=True, help_text="When somebody saw that it got no result")
    answer = models.ForeignKey("inference.CaseResult", models.RESTRICT, null=True, blank=True, related_name="+")
    advice = models.CharField(max_length=20, blank=True, default="", help_text="Of the answer; empty without one")
    top_class = models.CharField(max_length=10, blank=True, default="")
    risk = models.FloatField(default=-1, help_text="P(any malignant class); -1 without an answer")
    uncertainty = models.FloatField(null=True, blank=True)
    opinion = models.CharField(
        max_length=10,
        blank=True,
        default="",
        db_default="",
        help_text="The malignant class that dermatologists agree on for a picture; of several, what calls for most",
    )
    urgency = models.GeneratedField(
        expression=models.Case(
            *(When(advice=advice, then=Value(rank)) for advice, rank in URGENCY.items()), default=Value(len(URGENCY))
        ),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["batch", "created_at", "id"], name="case_in_batch"),
            models.Index(fields=["organisation", "-created_at"], name="case_newest"),
            models.Index("organisation", CALLED, F("created_at").desc(), "id", name="case_called"),
            models.Index(  # its last column is looked at in the index alone
                fields=["organisation", "advice", "-created_at", "released_at"],
                condition=~Q(advice=""),
                name="case_by_advice",
            ),
            models.Index(
                fields=["batch", "urgency", "-risk", "created_at", "id"], include=["top_class"], name="case_most_urgent"
            ),
            models.Index(fields=["batch"], condition=TO_REVIEW, name="case_to_review"),
            models.Index(fields=["organisation", "raised_at"], condition=~Q(raised_at=None), name="case_raised"),
            models.Index(
                fields=["organisation", "link_locked_at"], condition=~Q(link_locked_at=None), name="case_link_locked"
            ),
            models.Index(fields=["batch"], condition=NO_RESULT_UNACKNOWLEDGED, name="case_unseen"),
            models.Index("organisation", *REVIEWED_IN_TURN, "source", condition=TO_REVIEW, name="case_review_list"),
            models.Index("organisation", "source", *REVIEWED_IN_TURN, condition=TO_REVIEW, name="case_review_sent_by"),
        ]
        constraints = [
            models.CheckConstraint(
                name="case_answer_consistent",
                condition=Q(**NO_ANSWER)
                | (
                    Q(answer__isnull=False, advice__in=list(URGENCY), risk__gte=0, risk__lte=1, uncertainty__gte=0)
                    & ~Q(top_class="")
                ),
            ),
            models.CheckConstraint(condition=Q(raised_at=None) | ~Q(released_at=None), name="case_raised_is_told"),
            models.CheckConstraint(
                name="case_erased_is_empty",
                condition=Q(erased_at=None)
                | Q(
                    answer=None, released_at=None, reviewed_at=None, reviewed_by=None, review_note="", **EMPTY_METADATA
                ),
            ),
            models.UniqueConstraint(fields=["batch", "external_id"], name="case_unique_in_batch"),
            models.CheckConstraint(condition=Q(age=None) | Q(age__lte=120), name="case_age_plausible"),
        ]

    def __str__(self) -> str:
        return f"case {self.id}"

    @property
    def said_lesion(self) -> str:
        """The lesion's id where the clinic said one. Of photos from a phone the site made it up, to know them again."""
        return "" if self.source == Batch.Source.PATIENT else self.lesion_id

    @property
    def dissent(self) -> str:
        """The opinion, where it calls for more than the advice of the answer that holds; else empty."""
        return self.opinion if self.advice in LESS_URGENT.get(self.opinion, ()) else ""
