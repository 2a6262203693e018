"""Where a clinic's software wants to be told, and the outbox: deliveries, written with what gives rise to them."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from webapp.accounts.models import Organisation
from webapp.leases import Leased


class EventType(models.TextChoices):
    """What a clinic's software can be told. docs/webhooks.md says what each carries."""

    BATCH_COMPLETED = "batch.completed", "A batch is complete"
    BATCH_CANCELLED = "batch.cancelled", "A batch was cancelled"
    ARCHIVE_EXPANDED = "archive.expanded", "An archive was unpacked"
    ARCHIVE_REFUSED = "archive.refused", "An archive could not be unpacked"
    CASE_RELEASED = "case.released", "A result was released to the patient"
    CASE_RAISED = "case.raised", "A case waits for a clinician again"


TEST = "webhook.test"  # sent by hand; nobody subscribes to it


class Endpoint(models.Model):
    """An address of a clinic's software, and how its deliveries fare."""

    class State(models.TextChoices):
        ENABLED = "enabled", "Enabled"
        DISABLED = "disabled", "Disabled by a person"
        GONE = "gone", "Disabled: it answered 410 Gone"
        FAILING = "failing", "Disabled: every delivery had failed for days"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    description = models.CharField(max_length=200, blank=True)
    event_types = ArrayField(models.CharField(max_length=40, choices=EventType))
    state = models.CharField(max_length=10, choices=State, default=State.ENABLED)
    sealed_secret = models.TextField()
    sealed_previous_secret = models.TextField(blank=True, help_text="Signs too until `previous_secret_until`")
    previous_secret_until = models.DateTimeField(null=True, blank=True)
    sealed_earlier_secrets = models.JSONField(
        default=list, db_default=[], help_text="Those before the previous one, the newest first: secret, until when"
    )
    failures = models.PositiveIntegerField(default=0, help_text="Attempts that failed since one last succeeded")
    failing_since = models.DateTimeField(null=True, blank=True)
    quiet_until = models.DateTimeField(null=True, blank=True, help_text="Nothing is sent before")
    tried_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "url"], condition=Q(state="enabled"), name="webhook_enabled_once"
            ),
            models.CheckConstraint(
                name="webhook_state_known", condition=Q(state__in=["enabled", "disabled", "gone", "failing"])
            ),
            models.CheckConstraint(
                name="webhook_failing_consistent",
                condition=Q(failures=0, failing_since=None) | Q(failures__gt=0, failing_since__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"webhook {self.pk}"

    def secrets_before(self, at: datetime) -> list[tuple[str, datetime]]:
        """The secrets from before the last rotations that sign too, sealed, and until when; the newest first."""
        earlier = [(sealed, datetime.fromisoformat(until)) for sealed, until in self.sealed_earlier_secrets]
        if self.previous_secret_until is not None:
            earlier.insert(0, (self.sealed_previous_secret, self.previous_secret_until))
        return [(sealed, until) for sealed, until in earlier if at < until]


@dataclass(frozen=True)
class Attempt:
    """One try at a delivery. `status` is None where the endpoint did not answer; `error` says why it failed."""

    at: datetime
    status: int | None
    milliseconds: int
    error: str


class Delivery(Leased):
    """One event for one endpoint, sent until the endpoint takes it. Its id is the event's `webhook-id`."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SENDING = "sending", "Sending"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="deliveries")
    type = models.CharField(max_length=40)
    occasion = models.CharField(max_length=100, help_text="What happened, so that it is told once")
    body = models.TextField(help_text="The JSON that is signed and sent, to the byte")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    send_after = models.DateTimeField()
    error = models.CharField(max_length=200, blank=True)
    attempts = models.JSONField(default=list, help_text="The latest: at, status, milliseconds, error")
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["endpoint", "send_after"], condition=Q(state="pending"), name="delivery_pending"),
            models.Index(fields=["endpoint"], condition=Q(state="sending"), name="delivery_sending"),
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_newest"),
            models.Index(fields=["created_at"], name="delivery_oldest"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "type", "occasion"], name="delivery_told_once"),
            models.CheckConstraint(
                name="delivery_state_consistent",
                condition=Q(state="sending", lease_token__isnull=False, ended_at=None)
                | Q(state="pending", lease_token=None, ended_at=None)
                | Q(state__in=["delivered", "failed"], lease_token=None, ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"

    @property
    def log(self) -> list[Attempt]:
        """The latest attempts, oldest first."""
        return [Attempt(**{**attempt, "at": datetime.fromisoformat(attempt["at"])}) for attempt in self.attempts]
