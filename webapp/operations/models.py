"""What this room keeps: when the sweep last ran."""

from django.db import models


class Sweep(models.Model):
    """One row, whose time the sweep renews: who watches the service sees by it that lost work is set going again."""

    ran_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"sweep of {self.ran_at}"
