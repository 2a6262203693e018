"""What this room keeps: when the sweep last ran, and reached storage."""

from django.db import models
from django.db.models.functions import Now


class Sweep(models.Model):
    """One row, whose times the sweep renews: who watches the service sees by it that lost work is set going again, and
    whether the workers reach storage.
    """

    ran_at = models.DateTimeField()
    storage_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"sweep of {self.ran_at}"
