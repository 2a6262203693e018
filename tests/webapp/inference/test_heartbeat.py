"""Which inference workers are alive."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import ReleaseFactory
from webapp.inference.selectors import workers_alive
from webapp.inference.services import heartbeat


@pytest.mark.django_db
@pytest.mark.parametrize("hours", [-2, 2])
def test_a_worker_whose_clock_is_off_is_alive_and_forgets_no_other(hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    release, moment = ReleaseFactory(), timezone.now()
    heartbeat(worker="right:1", release=release)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(timezone, "now", lambda: moment + timedelta(hours=hours))
        heartbeat(worker="off:1", release=release)
        assert workers_alive().count() == 2
    assert workers_alive().count() == 2
