"""The claim is the scheduler: it decides whose image the model sees next.

A person who waits goes first. Inside bulk work, organisations take turns: the first queued image of each, then the
second of each, so that one clinic's backlog never holds up another's.
"""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from webapp.inference.models import Job

# The inner LIMIT reads a few rows of each organisation through the partial index `job_queued`; candidates are
# more than asked for, because another worker may be claiming the same ones and its rows are skipped.
CLAIM = """
WITH candidate AS (
    SELECT turn.id, turn.priority, turn.place
    FROM accounts_organisation organisation
    CROSS JOIN LATERAL (
        SELECT queued.id, queued.priority, row_number() OVER (ORDER BY queued.priority, queued.id) AS place
        FROM (
            SELECT id, priority FROM inference_job
            WHERE state = 'queued' AND organisation_id = organisation.id
            ORDER BY priority, id
            LIMIT %(candidates)s
        ) queued
    ) turn
    ORDER BY turn.priority, turn.place, turn.id
    LIMIT %(candidates)s
), picked AS (
    SELECT job.id
    FROM inference_job job JOIN candidate ON candidate.id = job.id
    WHERE job.state = 'queued'
    ORDER BY candidate.priority, candidate.place, candidate.id
    LIMIT %(limit)s
    FOR UPDATE OF job SKIP LOCKED
)
UPDATE inference_job job
SET state = 'running', attempt = job.attempt + 1, lease_token = %(token)s, lease_until = %(until)s
FROM picked WHERE picked.id = job.id
RETURNING job.id
"""
SPARE = 8


def claim_jobs(*, limit: int) -> tuple[uuid.UUID, list[Job]]:
    """Lease up to `limit` queued jobs, fairly; committed on return. Gives the lease's token and the jobs."""
    token = uuid.uuid4()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(
            CLAIM,
            {
                "limit": limit,
                "candidates": limit * SPARE,
                "token": token,
                "until": timezone.now() + timedelta(seconds=settings.LEASE_SECONDS),
            },
        )
        ids = [row[0] for row in cursor.fetchall()]
    jobs = Job.objects.filter(pk__in=ids).select_related("image", "image__case").order_by("priority", "pk")
    return token, list(jobs)
