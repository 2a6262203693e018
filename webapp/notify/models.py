"""The outbox: messages are rows, written in the transaction that gives rise to them."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from webapp.cases.models import Batch, Case
from webapp.leases import Leased


class ResultLink(models.Model):
    """A link to one released result: expires, asks for the date of birth, allows five tries."""

    case = models.ForeignKey(Case, models.CASCADE, related_name="links")
    token_sha256 = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    tries_left = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"link to case {self.case_id}"


class Message(Leased):
    """One e-mail to one recipient about one thing, sent once. Its body holds a link and never a finding."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    class Kind(models.TextChoices):
        BATCH_COMPLETED = "batch_completed", "A batch is complete"
        RESULT_READY = "result_ready", "A result can be read"
        IMAGE_UNUSABLE = "image_unusable", "A photo has to be taken again"
        CHECK_STOPPED = "check_stopped", "A clinic stopped the check of a photo"
        REVIEW_WAITING = "review_waiting", "A patient's photo waits for review"
        CASE_RAISED = "case_raised", "A case waits for a clinician again"

    kind = models.CharField(max_length=20, choices=Kind)
    recipient = models.EmailField()
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="messages")
    case = models.ForeignKey(Case, models.CASCADE, null=True, blank=True, related_name="messages")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    send_after = models.DateTimeField(default=timezone.now)
    error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    renewals = models.PositiveSmallIntegerField(default=0, help_text="How often it was written anew")

    class Meta:
        indexes = [
            models.Index(fields=["send_after"], condition=Q(state="pending"), name="message_pending"),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="message_sending"),
            models.Index(fields=["send_after"], condition=Q(state="failed"), name="message_failed"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "kind", "batch", "case"], nulls_distinct=False, name="message_sent_once"
            ),
            models.CheckConstraint(
                name="message_state_consistent",
                condition=Q(state="sending", lease_token__isnull=False)
                | Q(state="sent", lease_token=None, sent_at__isnull=False)
                | Q(state__in=["pending", "failed"], lease_token=None),
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"
