"""One photograph of a case, and where its files lie in storage."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from webapp import storage
from webapp.cases.models.batch import Batch, Priority
from webapp.cases.models.case import Case
from webapp.leases import Leased

NOT_A_LESION = "not_a_lesion"  # the reason of an image that the model does not recognise as a lesion
IN_TWO_CASES = "in_two_cases"  # of one that came for another case of its batch, too


class Image(Leased):
    """One photograph of a case, from its upload to its fitness for the model.

    Each try has files of its own: whoever is late with one that was refused touches nothing of the next.
    """

    class State(models.TextChoices):
        AWAITING_UPLOAD = "awaiting_upload", "Waiting for upload"
        STORED = "stored", "Being checked"
        READY = "ready", "Ready"
        REJECTED = "rejected", "Not usable"
        EXPIRED = "expired", "Never uploaded"
        PURGED = "purged", "Deleted"

    UNENDED = (State.AWAITING_UPLOAD, State.STORED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey("accounts.Organisation", models.PROTECT, related_name="images")
    case = models.ForeignKey(Case, models.CASCADE, related_name="images")
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="images")
    filename = models.CharField(max_length=255)
    priority = models.SmallIntegerField(choices=Priority, default=Priority.BULK)
    state = models.CharField(max_length=16, choices=State, default=State.AWAITING_UPLOAD)
    reason = models.CharField(max_length=40, blank=True, help_text="Stable code of the refusal")
    advice = models.CharField(max_length=300, blank=True, help_text="What to do about the refusal, in a sentence")
    tries = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Files that were refused before")
    another_at = models.DateTimeField(
        null=True, blank=True, help_text="When somebody was last told where another file goes, which is not in place"
    )
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
    def upload_key(self) -> str:
        """Where the bytes lie as received, until intake has ended."""
        return self._upload_key(self.tries)

    @property
    def clean_key(self) -> str:
        """The full derivative, without metadata: what the model and the reader see."""
        return self._clean_key(self.tries)

    @property
    def next_key(self) -> str:
        """Where another file comes to lie, in the place of one that was refused and stays until then."""
        return self._upload_key(self.tries + 1)

    @property
    def other_keys(self) -> list[str]:
        """Where the files of earlier tries lie, and that of the next, or may come to as long as a URL is valid."""
        former = [key for tries in range(self.tries) for key in (self._upload_key(tries), self._clean_key(tries))]
        return [*former, self.next_key] if self.another_at else former

    @property
    def awaited_key(self) -> str:
        """Where the file goes that may come: beside the one that is there, where that was refused."""
        return self.next_key if self.state == self.State.REJECTED else self.upload_key

    @property
    def was_unrecognised(self) -> bool:
        """Whether the model found no lesion in it. Where it is not refused for that, a provider has insisted."""
        return any(flag["code"] == NOT_A_LESION for flag in self.quality)

    @property
    def is_in_two_cases(self) -> bool:
        """Whether it came for another case of its batch, too. Where it is not refused for that, a provider insists, or
        its patient had the result before.
        """
        return any(flag["code"] == IN_TWO_CASES for flag in self.quality)

    @property
    def is_ill_advised(self) -> bool:
        """Whether what it shows speaks against it. Where it is not refused for that, a provider has insisted."""
        return any(flag["code"] != IN_TWO_CASES for flag in self.quality)

    @property
    def deleted_at(self) -> datetime | None:
        """When the photo was deleted; None while it was not."""
        return self.ended_at if self.state == self.State.PURGED else None

    def _upload_key(self, tries: int) -> str:
        return f"{storage.UPLOADS}{self.organisation_id}/{self._name(tries)}"

    def _clean_key(self, tries: int) -> str:
        return f"images/{self.organisation_id}/{self._name(tries)}.jpg"

    def _name(self, tries: int) -> str:
        return f"{self.id}.{tries}" if tries else str(self.id)
