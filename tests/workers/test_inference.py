"""The inference worker answers what the model recognises, turns the rest away, and lets people go first."""

import gc
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import structlog
from django.conf import settings
from django.db import IntegrityError, connection
from django.utils import timezone

from ml.advice import Advice
from ml.classes import CLASSES, DISPLAY_NAMES
from ml.imaging.overlay import unpack
from ml.runtime import Prediction
from tests.factories import ReleaseFactory
from tests.workers.scenes import Model, submitted
from tests.workers.waiting import wait_for
from webapp.audit.services import SYSTEM
from webapp.cases.intake import override_quality
from webapp.cases.models import Batch, Image, Priority
from webapp.inference.claim import claim_jobs
from webapp.inference.models import Job, Result
from webapp.inference.services import End, finish, sweep_jobs
from webapp.notify.models import Message
from webapp.registry.models import ModelRelease
from workers import inference
from workers.predicting import BatchSize

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> ModelRelease:
    release: ModelRelease = ReleaseFactory(active=True)
    monkeypatch.setattr(inference, "load_active", lambda: (release, Model()))
    return release


def heatmaps(release: ModelRelease) -> list[bool]:
    answers = [
        Result.objects.filter(image=image, release=release).first() for image in Image.objects.order_by("filename")
    ]
    return [answer is not None and unpack(answer.heatmap).shape == (8, 8) for answer in answers]


def test_what_is_not_recognised_has_no_result_and_no_heatmap_and_holds_up_nothing(release: ModelRelease) -> None:
    batch = submitted(True, False, True)
    with structlog.testing.capture_logs() as log:
        inference.drain()
    batch.refresh_from_db()
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED_WITH_FAILURES, 1)
    assert list(Job.objects.order_by("image__filename").values_list("state", "reason", "attempt")) == [
        ("succeeded", "", 1), ("failed", "not_a_lesion", 1), ("succeeded", "", 1)
    ]  # fmt: skip
    assert list(Image.objects.order_by("filename").values_list("state", flat=True)) == ["ready", "rejected", "ready"]
    assert Result.objects.count() == 2
    assert heatmaps(release) == [True, False, True]
    said = {str(value) for line in log for value in line.values()}
    assert "not_a_lesion" in said
    assert not said & {*CLASSES, *DISPLAY_NAMES.values(), *(advice.value for advice in Advice), "0.74"}


def test_a_provider_who_insists_is_answered(release: ModelRelease) -> None:
    batch = submitted(False)
    inference.drain()
    override_quality(actor=SYSTEM, image=Image.objects.get())
    inference.drain()
    batch.refresh_from_db()
    assert (batch.state, batch.failures) == (Batch.State.COMPLETED, 0)
    assert Result.objects.get().malignant == 0.74
    assert heatmaps(release) == [True]


def test_insisting_on_a_blurred_picture_is_not_insisting_that_it_shows_a_lesion(release: ModelRelease) -> None:
    batch = submitted(False)
    flag = {"code": "blurred", "advice": "Hold still.", "measure": 3.0}
    Image.objects.update(quality=[flag])  # as after a provider's override
    inference.drain()
    image = Image.objects.get()
    assert (image.state, image.reason) == (Image.State.REJECTED, "not_a_lesion")
    assert [flag["code"] for flag in image.quality] == ["blurred", "not_a_lesion"]
    override_quality(actor=SYSTEM, image=image)
    inference.drain()
    batch.refresh_from_db()
    assert batch.state == Batch.State.COMPLETED


def test_a_batch_that_cannot_be_written_is_written_image_by_image(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = submitted(True, True, True)

    def only_alone(*, token: uuid.UUID, ends: Sequence[tuple[Job, End]]) -> set[int]:
        if len(ends) > 1 or ends[0][0].image.filename == "1.jpg":
            raise IntegrityError
        return finish(token=token, ends=ends)

    monkeypatch.setattr(inference, "finish", only_alone)
    inference.drain()

    batch.refresh_from_db()
    assert batch.remaining == 1
    assert sorted(Job.objects.values_list("image__filename", "state")) == [
        ("0.jpg", "succeeded"), ("1.jpg", "running"), ("2.jpg", "succeeded")
    ]  # fmt: skip


def test_a_person_who_comes_while_a_batch_is_claimed_is_answered_before_it(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted(True, True)
    came: list[Batch] = []

    def claim_and_let_one_come(**how: Any) -> tuple[uuid.UUID, list[Job]]:
        claimed = claim_jobs(**how)
        if not came:
            came.append(submitted(True, priority=Priority.INTERACTIVE))
        return claimed

    monkeypatch.setattr(inference, "claim_jobs", claim_and_let_one_come)
    monkeypatch.setattr(inference, "SIZE", BatchSize(2))
    inference.drain()

    first = Result.objects.order_by("pk")[0]
    assert first.image.batch == came[0]
    assert Result.objects.count() == 3


def test_the_model_takes_fewer_at_once_when_a_person_has_come(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    predict = Model.predict

    def count(self: Model, batch: Sequence[np.ndarray]) -> list[Prediction]:
        taken.append(len(batch))
        return predict(self, batch)

    monkeypatch.setattr(Model, "predict", count)
    monkeypatch.setattr(inference, "SIZE", BatchSize(4))
    submitted(*[True] * 9)
    inference.drain()
    submitted(True, priority=Priority.INTERACTIVE)
    inference.drain()
    submitted(*[True] * 5)
    inference.drain()
    assert taken == [4, 4, 1, 1, 2, 2, 1]


def test_what_is_leased_together_is_written_together_but_for_what_somebody_waits_for(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "SIZE", BatchSize(4))
    monkeypatch.setattr(inference, "LEASED", 2)
    submitted(*[True] * 13)
    submitted(True, priority=Priority.INTERACTIVE)
    with structlog.testing.capture_logs() as log:
        inference.drain()
    written = [line["written"] for line in log if line["event"] == "batch_answered"]
    assert written == [4, 4, 6]  # the person's with those that the model took beside it
    assert Result.objects.count() == 14


def test_a_lease_is_extended_whenever_the_model_goes_on_with_it(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    until: list[datetime | None] = []
    predict = Model.predict

    def look(self: Model, batch: Sequence[np.ndarray]) -> list[Prediction]:
        until.extend({job.lease_until for job in Job.objects.filter(state=Job.State.RUNNING)})
        return predict(self, batch)

    monkeypatch.setattr(Model, "predict", look)
    monkeypatch.setattr(inference, "SIZE", BatchSize(1))
    settings.LEASE_SECONDS = 0  # so that any time is long
    submitted(True, True, True)
    inference.drain()
    assert len(until) == len(set(until)) == 3
    assert until == sorted(until, key=str)


class WorkerKilled(BaseException):
    """The process ends here: nothing that follows is done."""


def test_an_image_that_kills_its_workers_takes_no_other_suspect_with_it(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted(False, True)
    Job.objects.update(attempt=2)
    predict = Model.predict

    def die(self: Model, batch: Sequence[np.ndarray]) -> list[Prediction]:
        if not all(pixels[0] for pixels in batch):
            raise WorkerKilled
        return predict(self, batch)

    monkeypatch.setattr(Model, "predict", die)
    for _ in range(settings.MAX_ATTEMPTS - 2):
        with pytest.raises(WorkerKilled):
            inference.drain()
        Job.objects.filter(state=Job.State.RUNNING).update(lease_until=timezone.now())
        sweep_jobs()
    inference.drain()

    assert list(Job.objects.order_by("image__filename").values_list("state", "reason", "attempt")) == [
        ("failed", "attempts_spent", 5), ("succeeded", "", 3)
    ]  # fmt: skip


def test_a_device_that_fails_ends_its_worker_and_no_image(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = Mock()
    monkeypatch.setattr(Model, "predict", Mock(side_effect=RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")))
    monkeypatch.setattr(inference, "die", died)
    monkeypatch.setattr(inference, "SIZE", BatchSize(2))
    monkeypatch.setattr(inference, "LEASED", 2)
    submitted(*[True] * 7)
    inference.drain()
    died.assert_called_once_with()
    held = list(Job.objects.order_by("pk").values_list("state", "attempt"))
    assert held == [(Job.State.RUNNING, 1)] * 2 + [(Job.State.QUEUED, 0)] * 5
    assert not Message.objects.exists()


def test_what_was_answered_before_the_device_failed_is_written_and_what_was_claimed_ahead_let_go(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict, calls = Model.predict, list[int]()

    def fail_later(self: Model, batch: Sequence[np.ndarray]) -> list[Prediction]:
        calls.append(len(batch))
        if len(calls) > 1:
            wait_for(lambda: Job.objects.filter(attempt=1).count() == 7)  # the next are claimed meanwhile
            raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS")
        return predict(self, batch)

    monkeypatch.setattr(Model, "predict", fail_later)
    monkeypatch.setattr(inference, "die", Mock())
    monkeypatch.setattr(inference, "SIZE", BatchSize(2))
    monkeypatch.setattr(inference, "LEASED", 2)
    submitted(*[True] * 7)
    inference.drain()
    held = list(Job.objects.order_by("pk").values_list("state", "attempt"))
    assert held == [(Job.State.SUCCEEDED, 1)] * 2 + [(Job.State.RUNNING, 1)] * 2 + [(Job.State.QUEUED, 0)] * 3


def test_a_suspect_is_at_a_worker_that_holds_nothing_else(
    release: ModelRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[list[int]] = []
    predict = Model.predict

    def look(self: Model, batch: Sequence[np.ndarray]) -> list[Prediction]:
        if not held:
            submitted(True, True)
            submitted(True, True, priority=Priority.INTERACTIVE)
            Job.objects.filter(attempt=0, image__filename="0.jpg").update(attempt=2)
        held.append(sorted(Job.objects.filter(state=Job.State.RUNNING).values_list("attempt", flat=True)))
        return predict(self, batch)

    monkeypatch.setattr(Model, "predict", look)
    monkeypatch.setattr(inference, "SIZE", BatchSize(1))
    monkeypatch.setattr(inference, "LEASED", 1)
    submitted(*[True] * 3)
    inference.drain()

    assert held.count([3]) == 2
    assert [3 in attempts for attempts in held].count(True) == 2
    assert Result.objects.count() == 7


def test_a_drain_leaves_no_connection_behind(release: ModelRelease) -> None:
    """Whatever the garbage collection would have closed some time later."""
    submitted(True)

    def connections() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            return int(cursor.fetchone()[0])

    before = connections()
    gc.disable()
    try:
        inference.drain()
        wait_for(lambda: connections() == before)  # Postgres takes a moment to see that one was closed
    finally:
        gc.enable()
    assert Result.objects.count() == 1
