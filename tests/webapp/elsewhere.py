"""What another connection to the database finds."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.db import DatabaseError, connection, transaction

from webapp.cases.models import Batch

# Of this database: other tests run beside these on the same server. What is waited for names none, but who waits has
# locked a table of one.
WAITING = """
SELECT EXISTS (
    SELECT FROM pg_locks waiting JOIN pg_locks held USING (pid) JOIN pg_database ON pg_database.oid = held.database
    WHERE NOT waiting.granted AND datname = current_database()
)
"""


def elsewhere(ask: Callable[[], Any]) -> Any:
    """What `ask` gives in a thread of its own, which leaves no connection behind."""
    try:
        return ask()
    finally:
        connection.close()


def at_once(ask: Callable[[Any], Any], values: Iterable[Any], *, threads: int = 4) -> list[Any]:
    """What `ask` gives for each value, in several such threads side by side."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda value: elsewhere(partial(ask, value)), values))


def somebody_waits() -> bool:
    """Whether a connection waits for what another one holds."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return bool(cursor.fetchone()[0])


def is_free(batch_id: str) -> bool:
    """Whether another connection than this thread's may change the batch now."""

    def lock() -> bool:
        try:
            with transaction.atomic():
                return Batch.objects.select_for_update(nowait=True).filter(pk=batch_id).exists()
        except DatabaseError:
            return False

    return bool(elsewhere(lock))
