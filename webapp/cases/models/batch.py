"""Cases that were sent together."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


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
