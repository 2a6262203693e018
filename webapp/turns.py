"""Whose turn it is: the claim of work that many organisations wait for, at the door (intake) and at the model.

A person who waits goes first. Inside bulk work, organisations take turns: the first waiting rows of each, as many as
its weight says, then the next of each, so that one clinic's backlog never holds up another's. Where not all have a turn
in one claim, chance decides who has, so that nothing needs to be remembered between claims, on however many machines.
"""

import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction

# The inner LIMIT reads a few rows of each organisation through a partial index; candidates are more than asked for,
# because another worker may be claiming the same ones and its rows are skipped.
CLAIM = """
WITH candidate AS (
    SELECT turn.id, row_number() OVER (ORDER BY turn.priority, turn.round, turn.chance, turn.id) AS place
    FROM accounts_organisation organisation
    CROSS JOIN LATERAL (
        SELECT waiting.id, waiting.priority, random() AS chance,
            (row_number() OVER (ORDER BY waiting.priority, waiting.came) - 1) / organisation.weight AS round
        FROM (
            SELECT id, priority, {order} AS came FROM {table}
            WHERE {waiting} AND organisation_id = organisation.id AND priority <= %(priority)s
            ORDER BY priority, {order}
            LIMIT %(candidates)s
        ) waiting
    ) turn
    ORDER BY 2
    LIMIT %(candidates)s
), picked AS (
    SELECT id FROM {table} JOIN candidate USING (id)
    WHERE {waiting}
    ORDER BY candidate.place
    LIMIT %(limit)s
    FOR UPDATE OF {table} SKIP LOCKED
)
UPDATE {table} claimed
SET {changes} attempt = claimed.attempt + 1, lease_token = %(token)s,
    lease_until = statement_timestamp() + %(seconds)s * interval '1 second'
FROM picked WHERE picked.id = claimed.id
RETURNING claimed.id
"""
SPARE = 4


@dataclass(frozen=True)
class Queue:
    """Rows that wait, of a table with the columns of `Leased`, `organisation_id` and `priority`; all in SQL.

    waiting: which rows do. order: the column that says who came first. changes: what else a claim sets, with a comma.
    """

    table: str
    waiting: str
    order: str
    changes: str = ""


def claim_in_turns(queue: Queue, *, limit: int, priority: int) -> tuple[uuid.UUID, list[Any]]:
    """Lease up to `limit` waiting rows whose priority is `priority` or goes before it; committed on return.

    Gives the lease's token and the ids of the rows.
    """
    token = uuid.uuid4()
    sql = CLAIM.format(table=queue.table, waiting=queue.waiting, order=queue.order, changes=queue.changes)
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "limit": limit,
                "candidates": limit * SPARE,
                "priority": priority,
                "token": token,
                "seconds": settings.LEASE_SECONDS,
            },
        )
        return token, [row[0] for row in cursor.fetchall()]
