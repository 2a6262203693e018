"""A worker that is to take no more, as it is asked to end or has no model for it, ends what it has; a ZIP, which may
take long, it leaves to another.
"""

import multiprocessing
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from celery.signals import worker_shutting_down
from django.db import connections

from ml.runtime import Prediction
from tests.factories import ArchiveFactory, ReleaseFactory
from tests.ml.imaging.samples import zipped
from tests.workers.scenes import Model, submitted
from webapp import storage
from webapp.audit.services import SYSTEM
from webapp.cases.models import Archive
from webapp.inference.models import Job, Result
from webapp.queue import Task
from webapp.registry.models import ModelRelease
from webapp.registry.selectors import active_release
from webapp.registry.services import promote
from workers import inference, intake
from workers.predicting import BatchSize
from workers.task import stopping

pytestmark = pytest.mark.django_db(transaction=True)
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def _goes_on() -> Iterator[None]:
    yield
    stopping.clear()


@pytest.mark.usefixtures("_goes_on")
def test_one_that_is_asked_to_end_answers_what_it_has_leased_and_wakes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    answered_at_rings: list[int] = []
    predict, release = Model.predict, ReleaseFactory(active=True)

    def predict_and_stop(self: Model, batch: Sequence[np.ndarray]) -> list[Prediction]:
        worker_shutting_down.send(sender="worker-inference", sig="SIGTERM", how="Warm", exitcode=0)
        return predict(self, batch)

    def ring(task: Task) -> None:
        assert task == Task.DRAIN
        answered_at_rings.append(Result.objects.count())

    monkeypatch.setattr(Model, "predict", predict_and_stop)
    monkeypatch.setattr(inference, "load_active", lambda: (release, Model()))
    monkeypatch.setattr(inference, "ring_now", ring)
    monkeypatch.setattr(inference, "SIZE", BatchSize(1))
    monkeypatch.setattr(inference, "LEASED", 1)
    submitted(*[True] * 5)
    inference.drain()

    held = list(Job.objects.order_by("pk").values_list("state", "attempt"))
    assert held == [(Job.State.SUCCEEDED, 1)] * 2 + [(Job.State.QUEUED, 0)] * 3  # the second was claimed ahead
    assert answered_at_rings[-1] == 2


def test_one_that_cannot_fetch_a_promoted_release_answers_what_it_has_leased(monkeypatch: pytest.MonkeyPatch) -> None:
    warm = [(ReleaseFactory(active=True), Model())]

    def load() -> tuple[ModelRelease, Model]:
        if not warm:
            raise storage.StorageAway("EndpointConnectionError")
        return warm.pop()

    monkeypatch.setattr(inference, "load_active", load)
    monkeypatch.setattr(inference, "SIZE", BatchSize(1))
    monkeypatch.setattr(inference, "LEASED", 3)
    submitted(*[True] * 5)
    inference.drain()
    held = list(Job.objects.order_by("pk").values_list("state", "attempt"))
    assert held == [(Job.State.SUCCEEDED, 1)] * 3 + [(Job.State.QUEUED, 0)] * 2


def test_one_that_swaps_to_a_promoted_release_has_answered_what_it_has_leased(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ReleaseFactory(active=True), ReleaseFactory()
    predict, answered = Model.predict, list[int]()
    in_hand: list[tuple[ModelRelease, int]] = []

    def predict_and_promote(self: Model, batch: Sequence[np.ndarray]) -> list[Prediction]:
        if second.state == ModelRelease.State.CANDIDATE:
            promote(actor=SYSTEM, release=second, note="It serves better.")
        answered.append(len(batch))
        return predict(self, batch)

    def load() -> tuple[ModelRelease, Model]:
        active = active_release()
        assert active is not None
        in_hand.append((active, Job.objects.filter(attempt=1).count() - sum(answered)))
        return active, Model()

    monkeypatch.setattr(Model, "predict", predict_and_promote)
    monkeypatch.setattr(inference, "load_active", load)
    monkeypatch.setattr(inference, "SIZE", BatchSize(1))
    monkeypatch.setattr(inference, "LEASED", 2)
    submitted(*[True] * 5)
    inference.drain()

    answered_by = list(Result.objects.order_by("job").values_list("release", flat=True))
    assert answered_by == [first.pk] * 2 + [second.pk] * 3
    assert next(jobs for release, jobs in in_hand if release == second) == 0


@pytest.mark.usefixtures("_goes_on")
def test_a_process_that_unpacks_leaves_its_archive_to_another_worker_and_no_attempt_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = ArchiveFactory(stored=True)
    storage.write(archive.key, zipped({"1.jpg": b"x"}))
    here, there = FORK.Pipe()
    pieces = storage.pieces

    def pieces_while_it_is_asked_to_end(key: str) -> Iterator[bytes]:
        there.send("unpacking")
        assert there.poll(60)
        yield from pieces(key)

    monkeypatch.setattr(storage, "pieces", pieces_while_it_is_asked_to_end)
    connections.close_all()  # none is shared with a fork
    process = FORK.Process(target=intake.expand_waiting)
    process.start()
    assert here.poll(60)
    worker_shutting_down.send(sender="worker-cpu", sig="SIGTERM", how="Warm", exitcode=0)
    here.send("go on")
    process.join(60)
    monkeypatch.setattr(storage, "pieces", pieces)

    for _ in range(2):  # this worker takes it no more
        archive.refresh_from_db()
        assert (archive.state, archive.attempt, archive.lease_token) == (Archive.State.STORED, 0, None)
        intake.expand_waiting()

    stopping.clear()
    intake.expand_waiting()
    archive.refresh_from_db()
    assert (archive.state, archive.report) == (Archive.State.EXPANDED, [])
