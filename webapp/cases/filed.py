"""Where the files of an image lie in storage."""

import uuid

from django.db import models

from webapp import storage


class Filed(models.Model):
    """The columns that name an image's files.

    Each try has files of its own: whoever is late with one that was refused touches nothing of the next.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey("accounts.Organisation", models.PROTECT, related_name="images")
    tries = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Files that were refused before")
    another_at = models.DateTimeField(
        null=True, blank=True, help_text="When somebody was last told where another file goes, which is not in place"
    )

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
    def next_key(self) -> str:
        """Where another file comes to lie, in the place of one that was refused and stays until then."""
        return _upload_key(self, self.tries + 1)

    @property
    def other_keys(self) -> list[str]:
        """Where the files of earlier tries lie, and that of the next, or may come to as long as a URL is valid."""
        former = [key for tries in range(self.tries) for key in (_upload_key(self, tries), _clean_key(self, tries))]
        return [*former, self.next_key] if self.another_at else former


def _upload_key(image: Filed, tries: int) -> str:
    return f"{storage.UPLOADS}{image.organisation_id}/{_name(image, tries)}"


def _clean_key(image: Filed, tries: int) -> str:
    return f"images/{image.organisation_id}/{_name(image, tries)}.jpg"


def _name(image: Filed, tries: int) -> str:
    return f"{image.id}.{tries}" if tries else str(image.id)
