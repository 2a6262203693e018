"""The sweep: what it leaves behind is nothing, and one part of it that fails does not stop the others."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from threading import Event

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import BatchFactory, ImageFactory, JobFactory, OrganisationFactory
from webapp import storage
from webapp.cases.models import Image
from webapp.cases.originals import forget_originals
from webapp.inference.models import Job
from webapp.operations.models import Sweep
from webapp.operations.selectors import since_sweep, swept
from workers import upkeep

pytestmark = pytest.mark.django_db(transaction=True)


def ago(hours: float) -> datetime:
    return timezone.now() - timedelta(hours=hours)


def test_a_table_that_cannot_be_swept_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    job = JobFactory(
        state=Job.State.RUNNING, attempt=1, lease_token="0" * 32, lease_until=timezone.now() - timedelta(minutes=1)
    )

    def fails() -> int:
        raise ConnectionError

    monkeypatch.setitem(upkeep.SWEEPS, "images", fails)
    upkeep.sweep()

    job.refresh_from_db()
    assert job.state == Job.State.QUEUED


def test_the_sweep_says_when_it_last_ran() -> None:
    assert since_sweep() is None
    upkeep.sweep()
    assert (since_sweep() or 0) < 60
    upkeep.sweep()
    assert Sweep.objects.count() == 1


def test_the_sweep_says_when_it_last_reached_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """And runs on while it does not, which is told from a sweep that has stopped."""

    def away() -> None:
        raise storage.StorageAway

    with monkeypatch.context() as broken:
        broken.setattr(storage, "check", away)
        upkeep.sweep()
        Sweep.objects.update(storage_at=ago(1))
        upkeep.sweep()
        assert [last.storage - last.ran for last in [swept()] if last] == [pytest.approx(3600, abs=60)]
    upkeep.sweep()
    assert [last.storage < 60 for last in [swept()] if last] == [True]


def test_a_sweep_that_hangs_takes_one_process_and_the_tables_that_need_no_storage_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hangs, ends, done = Event(), Event(), list[str]()

    def hang() -> int:
        hangs.set()
        ends.wait(60)
        return 0

    def in_a_process_of_its_own() -> None:
        try:
            upkeep.sweep()
        finally:
            connection.close()

    for table in upkeep.SWEEPS:
        monkeypatch.setitem(upkeep.SWEEPS, table, partial(done.append, table))
    monkeypatch.setitem(upkeep.SWEEPS, "archives", hang)
    with ThreadPoolExecutor(1) as worker:
        first = worker.submit(in_a_process_of_its_own)
        try:
            assert hangs.wait(60)
            upkeep.sweep()
            assert done == ["images", "jobs", "messages", "webhooks", "storage"]
        finally:
            ends.set()
        first.result()
    upkeep.sweep()
    assert done.count("jobs") == 2


@pytest.mark.parametrize("state", [Image.State.READY, Image.State.EXPIRED])
def test_an_original_that_was_left_behind_is_deleted(state: str) -> None:
    """Its worker died before it could, or a client sent it and never said so."""
    left = ImageFactory(ready=True, state=state, ended_at=ago(2))
    storage.write(left.upload_key, b"with a place and a name")

    assert forget_originals() == 1
    assert storage.size(left.upload_key) is None
    assert forget_originals() == 0


def test_originals_are_found_in_the_order_of_an_index() -> None:
    """A restore makes them wait by the million, and a sweep that sorts them comes every few seconds."""
    ImageFactory(ready=True, ended_at=ago(2))
    with CaptureQueriesContext(connection) as asked:
        assert forget_originals() == 1
    reads = [query["sql"] for query in asked if query["sql"].startswith("SELECT") and "cases_image" in query["sql"]]
    assert reads
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        for read in reads:
            cursor.execute(f"EXPLAIN {read}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "image_original" in plan
            assert "Sort" not in plan


@pytest.mark.parametrize("state", [Image.State.PURGED, Image.State.EXPIRED])
def test_each_file_of_what_is_gone_is_deleted_once(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    image, deleted = ImageFactory(ready=True, state=state, ended_at=ago(2), tries=1), list[str]()
    monkeypatch.setattr(storage, "delete", deleted.append)
    assert forget_originals() == 1
    assert sorted(deleted) == sorted([image.upload_key, image.clean_key, *image.other_keys])


def test_originals_stay_while_they_are_awaited_or_a_url_may_still_bring_them() -> None:
    waiting, fresh = ImageFactory(stored=True), ImageFactory(ready=True)
    for image in (waiting, fresh):
        storage.write(image.upload_key, b"x")

    assert forget_originals() == 0
    assert storage.size(waiting.upload_key) == 1


def test_sessions_that_have_ended_are_deleted() -> None:
    """What people typed who never finished signing in lies in them, and which results they had opened."""
    ended, live = SessionStore(), SessionStore()
    for session in (ended, live):
        session["typed"] = "me@home.example"
        session.save()
    Session.objects.filter(pk=ended.session_key).update(expire_date=ago(1))

    upkeep.delete_old()

    assert [session.pk for session in Session.objects.all()] == [live.session_key]


def test_sessions_that_cannot_be_deleted_keep_no_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ConnectionError

    monkeypatch.setattr(SessionStore, "clear_expired", fails)
    batch = BatchFactory(completed=True, organisation=OrganisationFactory(retention_days=1))
    old = ImageFactory(case__batch=batch, ready=True, ended_at=ago(48))

    upkeep.delete_old()

    old.refresh_from_db()
    assert old.state == Image.State.PURGED
