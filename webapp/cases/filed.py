"""Where the files of an image lie in storage."""

import uuid

from django.db import models


class Filed(models.Model):
    """The columns that name an image's files.

    Each try has files of its own: whoever is late with one that was refused touches nothing of the next.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey("accounts.Organisation", models.PROTECT, related_name="images")
    tries = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Files that were refused before")

    class Meta:
        abstract = True

    @property
    def upload_key(self) -> str:
        """Where the bytes lie as received, until intake has ended."""
        return _upload_key(self, self.tries)

    @property
    def clean_key(self) -> str:
        """The full derivative, without metadata: what the model and the reader see."""
        return _clean_key(self, self.tries)

    @property
    def former_keys(self) -> list[str]:
        """Where the files of earlier tries lie, or may come to lie as long as a URL for them is valid."""
        return [key for tries in range(self.tries) for key in (_upload_key(self, tries), _clean_key(self, tries))]


def _upload_key(image: Filed, tries: int) -> str:
    return f"uploads/{image.organisation_id}/{_name(image, tries)}"


def _clean_key(image: Filed, tries: int) -> str:
    return f"images/{image.organisation_id}/{_name(image, tries)}.jpg"


def _name(image: Filed, tries: int) -> str:
    return f"{image.id}.{tries}" if tries else str(image.id)
