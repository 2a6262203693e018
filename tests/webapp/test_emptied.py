"""What one test commits, the next does not find."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import sleep

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connection, transaction

from tests import database
from tests.database import empty
from tests.factories import ConsensusFactory, DeliveryFactory, JobFactory, OrganisationFactory, RunFactory
from tests.webapp.elsewhere import elsewhere
from webapp.accounts.models import Organisation

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_table_is_emptied_but_what_migrations_wrote() -> None:
    for factory in (ConsensusFactory, DeliveryFactory, JobFactory, RunFactory):
        factory()
    kept = set(Permission.objects.values_list("pk", "content_type"))
    empty()
    full = {model for model in apps.get_models(include_auto_created=True) if model._base_manager.exists()}
    assert full == {Permission, ContentType}
    assert set(Permission.objects.values_list("pk", "content_type")) == kept


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database "
            "WHERE NOT granted AND datname = current_database())"
        )
        return bool(cursor.fetchone()[0])


@contextmanager
def left_open() -> Iterator[Event]:
    """A thread has written, and commits once the event that this gives is set, at the end at the latest."""
    written, end = Event(), Event()

    def write() -> None:
        with transaction.atomic():
            OrganisationFactory()
            written.set()
            end.wait()

    late = Thread(target=elsewhere, args=[write], daemon=True)
    late.start()
    written.wait()
    try:
        yield end
    finally:
        end.set()
        late.join()


def test_what_a_thread_commits_late_is_emptied_too() -> None:
    """As by TRUNCATE: the rows of a thread that a test left behind would be found by the next."""
    emptying = Thread(target=elsewhere, args=[empty], daemon=True)
    with left_open() as end:
        emptying.start()
        while emptying.is_alive() and not somebody_waits():
            sleep(0.01)
        end.set()
        emptying.join()
    assert not Organisation.objects.exists()


def test_a_transaction_that_stays_open_ends_in_words_and_hangs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LONGEST_WAIT", "100ms")
    with left_open(), pytest.raises(OperationalError, match="lock timeout"):
        empty()
