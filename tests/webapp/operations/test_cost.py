"""The figures stay cheap when the tables are long: they are asked for every few seconds."""

import re
from time import perf_counter

import pytest
from django.db import connection, transaction

from tests.factories import JobFactory, MessageFactory, ResultFactory
from webapp.operations import selectors
from webapp.operations.metrics import exposition

FINISHED, QUEUED = 100_000, 5_000
COPIES = """
INSERT INTO cases_image (id, case_id, batch_id, organisation_id, filename, state, reason, advice, sha256, size, width,
    height, quality, original_forgotten, created_at, stored_at, ended_at, attempt, priority)
SELECT gen_random_uuid(), case_id, batch_id, organisation_id, 'copy-' || n, state, reason, advice, md5(n::text), size,
    width, height, quality, original_forgotten, created_at, stored_at, ended_at, attempt, priority
FROM cases_image, generate_series(1, %(rows)s) n WHERE cases_image.id = %(image)s;
"""
JOBS = """
INSERT INTO inference_job (image_id, batch_id, organisation_id, priority, state, reason, created_at, finished_at,
    attempt)
SELECT id, batch_id, organisation_id, 1, %(state)s, '', now() - interval '1 day', %(finished)s::timestamptz, 0
FROM cases_image WHERE filename LIKE 'copy-%%' LIMIT %(rows)s
"""
MESSAGES = """
INSERT INTO notify_message (kind, recipient, batch_id, case_id, state, error, created_at, send_after, sent_at, attempt,
    renewals)
SELECT kind, n || recipient, batch_id, case_id, 'sent', '', created_at, send_after, now(), 1, 0
FROM notify_message, generate_series(1, %(rows)s) n WHERE id = %(message)s
"""


@pytest.mark.django_db
def test_100_000_finished_and_5_000_queued_jobs_are_never_read_in_full() -> None:
    job, result, message = JobFactory(), ResultFactory(), MessageFactory()
    with connection.cursor() as cursor:
        cursor.execute(COPIES, {"rows": FINISHED, "image": job.image_id})
        cursor.execute(JOBS, {"state": "queued", "finished": None, "rows": QUEUED})
        cursor.execute(JOBS, {"state": "succeeded", "finished": "2026-01-01", "rows": FINISHED})
        cursor.execute(MESSAGES, {"rows": FINISHED, "message": message.pk})
        cursor.execute("ANALYZE cases_image, inference_job, notify_message")
        for sql in (
            selectors.WAITING,
            selectors.SWEPT,
            selectors.PRIORITIES,
            selectors.LATENCY,
            selectors.MINUTES,
            selectors.FAILED_JOBS,
            selectors.FAILED_MESSAGES,
        ):
            values = [result.created_at] * sql.count("%s")
            cursor.execute("EXPLAIN " + sql, values)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert not re.search(r"Seq Scan on (inference_job|cases_image|notify_message)", plan), plan
    started = perf_counter()
    exposition()
    assert perf_counter() - started < 1.0
    transaction.set_rollback(True)  # or each foreign key of the copies would be checked first
