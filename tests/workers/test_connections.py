"""A worker's process speaks to Postgres over one connection, however many tasks it runs."""

import pytest
from celery.fixups.django import DjangoWorkerFixup  # type: ignore[attr-defined]
from django.db import connection

from webapp.queue import Task, app
from workers import upkeep


@pytest.mark.django_db(transaction=True)
def test_a_task_goes_on_with_the_connection_of_the_one_before() -> None:
    fixup = DjangoWorkerFixup(app)  # what Celery does around each task where it knows of Django
    task = app.tasks[str(Task.SWEEP)]

    def backend() -> int:
        fixup.on_task_prerun(sender=task)
        upkeep.sweep()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = int(cursor.fetchone()[0])
        fixup.on_task_postrun(sender=task)
        return pid

    assert len({backend() for _ in range(3)}) == 1
