"""A Batch holds Cases; a Case is one lesion of one patient, with one or more Images."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value, When

from ml.advice import Advice
from webapp.accounts.models import CALLED
from webapp.cases.filed import Filed
from webapp.cases.opinions import REVIEW_TURN, Labelled
from webapp.cases.said import UNSAID, Said
from webapp.cases.unpacked import Archive as Archive  # noqa: PLC0414 - ours too
from webapp.cases.unpacked import MoreLeftOut as MoreLeftOut  # noqa: PLC0414
from webapp.leases import Leased

NOT_A_LESION = "not_a_lesion"  # the reason of an image that the model does not recognise as a lesion
URGENCY = {advice.value: rank for rank, advice in enumerate(Advice)}  # 0 is the most urgent
TO_REVIEW = Q(released_at=None) & ~Q(advice="")  # a result that nobody has given to the patient
AGAIN = Q(raised_at__isnull=False) | Q(link_locked_at__isnull=False)  # a released result that a clinician sees again
# The order of what is to review; and last what it is narrowed to, which Postgres then looks at in the index alone.
REVIEWED_IN_TURN = (REVIEW_TURN, "urgency", F("risk").desc(), "created_at", "id", "top_class", "uncertainty")
UNSEEN = Q(answer=None, erased_at=None, no_result_seen_at=None)  # no result, and nobody has said that they saw it
UNANSWERED = {"answer": None, "advice": "", "top_class": "", "risk": -1, "uncertainty": None}


class Priority(models.IntegerChoices):
    """Who goes first at the model: a person who waits, then bulk work."""

    INTERACTIVE = 0
    BULK = 1


class Batch(models.Model):
    """Cases that were sent together. `remaining` counts the images that have not ended, once it is submitted."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        SUBMITTED = "submitted", "In progress"
        COMPLETED = "completed", "Completed"
        COMPLETED_WITH_FAILURES = "completed_with_failures", "Completed with failures"
        CANCELLED = "cancelled", "Cancelled"

    LIVE = (State.OPEN, State.SUBMITTED)

    class Source(models.TextChoices):
        API = "api", "API"
        WEB = "web", "Web"
        PATIENT = "patient", "Patient"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey("accounts.Organisation", models.PROTECT, related_name="batches")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    name = models.CharField(max_length=200, blank=True)
    source = models.CharField(max_length=10, choices=Source)
    state = models.CharField(max_length=24, choices=State, default=State.OPEN)
    priority = models.SmallIntegerField(choices=Priority, default=Priority.BULK)
    idempotency_key = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - null: unique only where given
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    remaining = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0, help_text="Images that ended without a result")
    case_count = models.PositiveIntegerField(null=True, blank=True, help_text="Once it is closed, and takes no more")
    left_out = models.JSONField(default=list, db_default=[], help_text="Files that were left out: name, code, sentence")
    created_at = models.DateTimeField(auto_now_add=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "batches"
        indexes = [models.Index(fields=["organisation", "-created_at"], name="batch_newest")]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "idempotency_key"], name="batch_idempotency"),
            models.CheckConstraint(
                name="batch_state_consistent",
                condition=Q(state="open", submitted_at=None, finished_at=None)
                | Q(state="submitted", submitted_at__isnull=False, finished_at=None, remaining__gt=0)
                | Q(
                    state__in=["completed", "completed_with_failures"],
                    submitted_at__isnull=False,
                    finished_at__isnull=False,
                    remaining=0,
                )
                | Q(state="cancelled", finished_at__isnull=False, remaining=0),
            ),
            models.CheckConstraint(condition=Q(case_count=None) | ~Q(state="open"), name="batch_counted_is_closed"),
        ]

    def __str__(self) -> str:
        return f"batch {self.id}"


class Case(Said, Labelled):
    """One lesion of one patient, and the answer that holds for it.

    Lists sort and filter by what `webapp.inference.answers.hold` copies of it here, so that a page is one index scan.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="cases")
    organisation = models.ForeignKey("accounts.Organisation", models.PROTECT, related_name="cases")
    patient = models.ForeignKey("accounts.Patient", models.PROTECT, related_name="cases")
    source = models.CharField(max_length=10, choices=Batch.Source, db_default="", help_text="That of its batch")
    external_id = models.CharField(max_length=100)
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
            models.Index(
                fields=["organisation", "advice", "-created_at"], condition=~Q(advice=""), name="case_advised"
            ),
            models.Index(
                fields=["batch", "urgency", "-risk", "created_at", "id"], include=["top_class"], name="case_most_urgent"
            ),
            models.Index(fields=["batch"], condition=TO_REVIEW, name="case_to_review"),
            models.Index(fields=["organisation", "raised_at"], condition=~Q(raised_at=None), name="case_raised"),
            models.Index(
                fields=["organisation", "link_locked_at"], condition=~Q(link_locked_at=None), name="case_link_locked"
            ),
            models.Index(fields=["batch"], condition=UNSEEN, name="case_unseen"),
            models.Index("organisation", *REVIEWED_IN_TURN, "source", condition=TO_REVIEW, name="case_review_list"),
            models.Index("organisation", "source", *REVIEWED_IN_TURN, condition=TO_REVIEW, name="case_review_sent_by"),
        ]
        constraints = [
            models.CheckConstraint(
                name="case_answer_consistent",
                condition=Q(**UNANSWERED)
                | (
                    Q(answer__isnull=False, advice__in=list(URGENCY), risk__gte=0, risk__lte=1, uncertainty__gte=0)
                    & ~Q(top_class="")
                ),
            ),
            models.CheckConstraint(condition=Q(raised_at=None) | ~Q(released_at=None), name="case_raised_is_told"),
            models.CheckConstraint(
                name="case_erased_is_empty",
                condition=Q(erased_at=None)
                | Q(answer=None, released_at=None, reviewed_at=None, reviewed_by=None, review_note="", **UNSAID),
            ),
            models.UniqueConstraint(fields=["batch", "external_id"], name="case_unique_in_batch"),
            models.CheckConstraint(condition=Q(age=None) | Q(age__lte=120), name="case_age_plausible"),
        ]

    def __str__(self) -> str:
        return f"case {self.id}"

    @property
    def said_lesion(self) -> str:
        """The lesion's id where the clinic said one. Of photos from a phone the site made it up, to know them again."""
        return "" if self.batch.source == Batch.Source.PATIENT else self.lesion_id


class Image(Filed, Leased):
    """One photograph of a case, from its upload to its fitness for the model."""

    class State(models.TextChoices):
        AWAITING_UPLOAD = "awaiting_upload", "Waiting for upload"
        STORED = "stored", "Being checked"
        READY = "ready", "Ready"
        REJECTED = "rejected", "Not usable"
        EXPIRED = "expired", "Never uploaded"
        PURGED = "purged", "Deleted"

    UNENDED = (State.AWAITING_UPLOAD, State.STORED)

    case = models.ForeignKey(Case, models.CASCADE, related_name="images")
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="images")
    filename = models.CharField(max_length=255)
    priority = models.SmallIntegerField(choices=Priority, default=Priority.BULK)
    state = models.CharField(max_length=16, choices=State, default=State.AWAITING_UPLOAD)
    reason = models.CharField(max_length=40, blank=True, help_text="Stable code of the refusal")
    advice = models.CharField(max_length=300, blank=True, help_text="What to do about the refusal, in a sentence")
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the bytes as received")
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes as received, however many that were")
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)
    quality = models.JSONField(default=list, help_text="Flags of the quality check: code, sentence, measure")
    quality_overridden_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    original_forgotten = models.BooleanField(
        default=False, help_text="The bytes as received are gone for good: no upload URL was valid any more"
    )
    retried = models.BooleanField(
        default=False, db_default=False, help_text="It had ended in its batch that was sent, and was tried once more"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    stored_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When intake ended, or the photo was deleted")

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["stored_at"], condition=Q(state="stored"), name="image_to_inspect"),
            models.Index(
                fields=["organisation", "priority", "stored_at"],
                condition=Q(state="stored", attempt__gt=0),
                name="image_again_in_turn",
            ),
            models.Index(
                fields=["organisation", "priority", "stored_at"], condition=Q(state="stored"), name="image_in_turn"
            ),
            models.Index(fields=["priority"], condition=Q(state="stored", priority=0), name="image_of_a_person"),
            models.Index(fields=["created_at"], condition=Q(state="awaiting_upload"), name="image_awaiting"),
            models.Index(fields=["ended_at"], condition=Q(original_forgotten=False), name="image_original"),
            models.Index(
                fields=["organisation", "ended_at"], condition=Q(state__in=["ready", "rejected"]), name="image_kept"
            ),
            models.Index(fields=["batch", "state"], name="image_in_batch"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["case", "filename"], name="image_unique_in_case"),
            models.UniqueConstraint(
                fields=["batch", "sha256"], condition=Q(state="ready"), name="image_no_duplicate_in_batch"
            ),
            models.CheckConstraint(
                name="image_state_consistent",
                condition=Q(state="awaiting_upload", ended_at=None, reason="")
                | Q(state="stored", stored_at__isnull=False, ended_at=None, reason="")
                | (Q(state="ready", ended_at__isnull=False, reason="", width__gt=0, height__gt=0) & ~Q(sha256=""))
                | (Q(state="rejected", ended_at__isnull=False) & ~Q(reason=""))
                | Q(state__in=["expired", "purged"], ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"image {self.id}"

    @property
    def awaited_key(self) -> str:
        """Where the file goes that may come: beside the one that is there, where that was refused."""
        return self.next_key if self.state == self.State.REJECTED else self.upload_key

    @property
    def was_unrecognised(self) -> bool:
        """Whether the model found no lesion in it. Where it is not refused for that, a provider has insisted."""
        return any(flag["code"] == NOT_A_LESION for flag in self.quality)

    @property
    def deleted_at(self) -> datetime | None:
        """When the photo was deleted; None while it was not."""
        return self.ended_at if self.state == self.State.PURGED else None


class PartedUpload(models.Model):
    """A file that is being sent to storage in parts. It is gone once they are joined, or given up."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="+")
    key = models.CharField(max_length=200, unique=True, help_text="Of the object in storage")
    upload_id = models.TextField(help_text="The storage's own name of the upload")
    size = models.PositiveBigIntegerField(help_text="Bytes of the whole file")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"parts of {self.key}"
