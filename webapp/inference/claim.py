"""The claim is the scheduler: it decides whose image the model sees next.

A person who waits goes first. Inside bulk work, organisations take turns: the first queued images of each, as many as
its weight says, then the next of each, so that one clinic's backlog never holds up another's. Where not all have a turn
in one claim, chance decides who has, so that nothing needs to be remembered between claims.
"""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from webapp.cases.models import Priority
from webapp.inference.models import Job

# The inner LIMIT reads a few rows of each organisation through the partial index `job_queued`; candidates are
# more than asked for, because another worker may be claiming the same ones and its rows are skipped.
CLAIM = """
WITH candidate AS (
    SELECT place.id, row_number() OVER (ORDER BY place.priority, place.turn, place.chance, place.id) AS place
    FROM accounts_organisation organisation
    CROSS JOIN LATERAL (
        SELECT queued.id, queued.priority, random() AS chance,
            (row_number() OVER (ORDER BY queued.priority, queued.id) - 1) / organisation.weight AS turn
        FROM (
            SELECT id, priority FROM inference_job
            WHERE state = 'queued' AND organisation_id = organisation.id AND priority <= %(priority)s
            ORDER BY priority, id
            LIMIT %(candidates)s
        ) queued
    ) place
    ORDER BY 2
    LIMIT %(candidates)s
), picked AS (
    SELECT job.id
    FROM inference_job job JOIN candidate ON candidate.id = job.id
    WHERE job.state = 'queued'
    ORDER BY candidate.place
    LIMIT %(limit)s
    FOR UPDATE OF job SKIP LOCKED
)
UPDATE inference_job job
SET state = 'running', attempt = job.attempt + 1, lease_token = %(token)s, lease_until = %(until)s
FROM picked WHERE picked.id = job.id
RETURNING job.id
"""
SPARE = 4


def claim_jobs(*, limit: int, people_only: bool = False) -> tuple[uuid.UUID, list[Job]]:
    """Lease up to `limit` queued jobs, fairly; committed on return. Gives the lease's token and the jobs.

    `people_only` leaves bulk work where it is.
    """
    token = uuid.uuid4()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(
            CLAIM,
            {
                "limit": limit,
                "candidates": limit * SPARE,
                "priority": Priority.INTERACTIVE if people_only else Priority.BULK,
                "token": token,
                "until": timezone.now() + timedelta(seconds=settings.LEASE_SECONDS),
            },
        )
        ids = [row[0] for row in cursor.fetchall()]
    jobs = Job.objects.filter(pk__in=ids).select_related("image").order_by("priority", "pk")
    return token, list(jobs)


def somebody_waits() -> bool:
    """Whether the photo of a person who waits is queued."""
    return Job.objects.filter(state=Job.State.QUEUED, priority=Priority.INTERACTIVE).exists()
