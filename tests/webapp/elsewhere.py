"""What another connection to the database finds."""

from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, connection, transaction

from webapp.cases.models import Batch


def elsewhere(ask: Callable[[], Any]) -> Any:
    """What `ask` gives in a thread of its own, which leaves no connection behind."""
    try:
        return ask()
    finally:
        connection.close()


def is_free(batch_id: str) -> bool:
    """Whether another connection than this thread's may change the batch now."""

    def lock() -> bool:
        try:
            with transaction.atomic():
                return Batch.objects.select_for_update(nowait=True).filter(pk=batch_id).exists()
        except DatabaseError:
            return False

    return bool(elsewhere(lock))
