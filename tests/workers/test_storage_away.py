"""Storage that is away for longer than all attempts would last: what waits goes on when it is back.

An object that storage refuses while it works is another thing: its row ends, with its reason.
"""

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.utils import timezone

from tests.factories import ArchiveFactory, CaseFactory, ImageFactory, ReleaseFactory
from tests.ml.imaging.samples import encode, skin_photo
from tests.workers.scenes import Model, submitted
from webapp import storage
from webapp.audit.services import SYSTEM
from webapp.cases import archives, originals
from webapp.cases.archives import sweep_archives
from webapp.cases.intake import sweep_images
from webapp.cases.models import Archive, Batch, Image
from webapp.cases.originals import forget_originals
from webapp.inference.claim import claim_jobs
from webapp.inference.models import Job
from webapp.inference.reruns import rerun_failed
from webapp.inference.services import sweep_jobs
from webapp.leases import Leased
from workers import inference, intake
from workers.predicting import BatchSize

pytestmark = pytest.mark.django_db(transaction=True)
Stop = Callable[[str], None]


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Lets storage answer nothing of what is asked for a key that holds this; what holds nothing lets it answer."""
    asked: list[str] = [""]

    def away(ask: Callable[..., Any]) -> Callable[..., Any]:
        def answer(key: str, *data: Any, **limit: Any) -> Any:
            if asked[0] and asked[0] in key:
                raise storage.StorageAway("ConnectTimeoutError")
            return ask(key, *data, **limit)

        return answer

    for name in ("read", "write", "pieces"):
        monkeypatch.setattr(storage, name, away(getattr(storage, name)))
    return lambda key: asked.__setitem__(0, key)


@pytest.fixture(autouse=True)
def _model(monkeypatch: pytest.MonkeyPatch) -> None:
    release = ReleaseFactory(active=True)
    monkeypatch.setattr(inference, "load_active", lambda: (release, Model()))


def leases_run_out(model: type[Leased], sweep: Callable[[], int]) -> None:
    model._default_manager.exclude(lease_token=None).update(lease_until=timezone.now())
    sweep()


def uploaded(*seeds: int) -> list[Image]:
    images: list[Image] = ImageFactory.create_batch(len(seeds), stored=True)
    for image, seed in zip(images, seeds, strict=True):
        storage.write(image.upload_key, encode(skin_photo(seed=seed), "JPEG"))
    return images


@pytest.mark.parametrize("key", ["uploads/", "images/"])
def test_good_pictures_are_not_refused(stop: Stop, key: str) -> None:
    uploaded(1, 2)
    stop(key)
    for _ in range(settings.MAX_ATTEMPTS + 1):
        intake.inspect_waiting()
        assert Image.objects.exclude(lease_token=None).count() == 1  # the lease of one paces the next attempt
        leases_run_out(Image, sweep_images)
    stop("")
    intake.inspect_waiting()
    assert set(Image.objects.values_list("state", "attempt")) == {("ready", 1)}


def test_a_picture_that_cannot_be_read_holds_up_no_other(stop: Stop) -> None:
    first, *_ = uploaded(1, 2, 3)
    stop(str(first.pk))
    for _ in range(2):
        intake.inspect_waiting()
    assert sorted(Image.objects.values_list("state", flat=True)) == ["ready", "ready", "stored"]


def test_what_waits_for_the_model_does_not_fail(stop: Stop) -> None:
    batch = submitted(*[True] * 8)
    stop("images/")
    for _ in range(settings.MAX_ATTEMPTS + 1):
        inference.drain()
        leases_run_out(Job, sweep_jobs)
    stop("")
    inference.drain()
    batch.refresh_from_db()
    assert batch.state == "completed"
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}


def test_an_image_that_cannot_be_read_holds_up_no_other(stop: Stop) -> None:
    submitted(*[True] * 8)
    stop(str(Image.objects.all()[0].pk))
    for _ in range(2):
        inference.drain()
    assert sorted(Job.objects.values_list("state", "attempt")) == [("running", 0), *[("succeeded", 1)] * 7]


def test_a_drain_ends_where_storage_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went back to the queue is not claimed again by the same drain, and again."""
    claims: list[int] = []

    def read(key: str) -> bytes:
        time.sleep(0.1)  # so that most are not being read yet when the first fails
        raise storage.StorageAway("ConnectTimeoutError")

    def claim_and_count(**how: Any) -> tuple[uuid.UUID, list[Job]]:
        token, jobs = claim_jobs(**how)
        claims.append(len(jobs))
        return token, jobs

    submitted(*[True] * 20)
    monkeypatch.setattr(storage, "read", read)
    monkeypatch.setattr(inference, "claim_jobs", claim_and_count)
    monkeypatch.setattr(inference, "SIZE", BatchSize(2))
    monkeypatch.setattr(inference, "LEASED", 8)
    inference.drain()
    assert claims == [16]


def test_a_fault_of_ours_spends_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Model, data: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr(Model, "prepare", fail)
    submitted(True)
    for _ in range(settings.MAX_ATTEMPTS):
        inference.drain()
        leases_run_out(Job, sweep_jobs)
    assert Job.objects.get().reason == "attempts_spent"


def test_an_archive_is_not_given_up(stop: Stop) -> None:
    ArchiveFactory(state=Archive.State.STORED)
    stop("archives/")
    for _ in range(settings.MAX_ATTEMPTS + 1):
        intake.expand_waiting()
        leases_run_out(Archive, sweep_archives)
    assert Archive.objects.get().attempt == 0
    stop("")
    intake.expand_waiting()
    assert Archive.objects.get().reason == "upload_missing"  # none was sent: storage could say so


def refuse(key: str) -> None:
    """Let storage refuse an object for good: there is a folder in its place."""
    storage.delete(key)
    storage.write(f"{key}/file", b"jpeg")


def test_a_picture_that_storage_refuses_ends_with_its_reason_and_the_others_go_on() -> None:
    first, *_ = uploaded(1, 2, 3)
    refuse(first.upload_key)
    for _ in range(settings.MAX_ATTEMPTS):
        intake.inspect_waiting()
        assert Image.objects.filter(state="ready").count() == 2
        leases_run_out(Image, sweep_images)
    first.refresh_from_db()
    assert (first.state, first.reason) == ("rejected", "storage_refused")


def test_a_picture_that_storage_would_not_keep_is_checked_again_from_its_file() -> None:
    batch = submitted(True)
    image = ImageFactory(case=CaseFactory(batch=batch), stored=True)
    Batch.objects.filter(pk=batch.pk).update(remaining=2)
    storage.write(image.upload_key, data := encode(skin_photo(seed=1), "JPEG"))
    refuse(image.clean_key)
    for _ in range(settings.MAX_ATTEMPTS):
        intake.inspect_waiting()
        leases_run_out(Image, sweep_images)
    image.refresh_from_db()
    assert (image.state, image.reason) == ("rejected", "storage_refused")
    assert storage.read(image.upload_key) == data

    storage.delete(f"{image.clean_key}/file")
    default_storage.delete(image.clean_key)  # the folder itself
    rerun_failed(actor=SYSTEM, batch=batch)
    intake.inspect_waiting()

    image.refresh_from_db()
    assert (image.state, image.reason) == ("ready", "")
    assert storage.size(image.upload_key) is None
    assert Job.objects.filter(image=image, state="queued").exists()


def test_an_image_that_storage_refuses_fails_with_its_reason() -> None:
    batch = submitted(*[True] * 3)
    refuse(Image.objects.all()[0].clean_key)
    for _ in range(settings.MAX_ATTEMPTS):
        inference.drain()
        leases_run_out(Job, sweep_jobs)
    batch.refresh_from_db()
    assert batch.state == "completed_with_failures"
    assert sorted(Job.objects.values_list("state", "reason")) == [
        ("failed", "storage_refused"),
        *[("succeeded", "")] * 2,
    ]


def test_an_archive_that_storage_refuses_is_given_up_with_its_reason() -> None:
    archive = ArchiveFactory(state=Archive.State.STORED)
    refuse(archive.key)
    for _ in range(settings.MAX_ATTEMPTS):
        intake.expand_waiting()
        leases_run_out(Archive, sweep_archives)
    archive.refresh_from_db()
    assert (archive.state, archive.reason) == ("refused", "storage_refused")


def test_what_storage_will_not_delete_keeps_no_other_file() -> None:
    long_ago = timezone.now() - timedelta(days=1)
    first, _ = ImageFactory.create_batch(2, ready=True)
    Image.objects.update(ended_at=long_ago, original_forgotten=False)
    for archive in (old := ArchiveFactory.create_batch(2, state=Archive.State.EXPANDED)):
        Archive.objects.filter(pk=archive.pk).update(forget_at=long_ago)
    refuse(first.upload_key)
    refuse(old[0].key)
    assert (forget_originals(), sweep_archives()) == (1, 1)
    assert list(Image.objects.filter(original_forgotten=False)) == [first]
    assert list(Archive.objects.filter(forget_at__isnull=False)) == [old[0]]


def test_however_many_storage_will_not_delete_they_do_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are refused stay the oldest."""
    long_ago = timezone.now() - timedelta(days=1)
    *refused, good = ImageFactory.create_batch(3, ready=True)
    Image.objects.update(ended_at=long_ago, original_forgotten=False)
    Image.objects.filter(pk=good.pk).update(ended_at=long_ago + timedelta(minutes=1))
    *kept, gone = ArchiveFactory.create_batch(3, state=Archive.State.EXPANDED)
    Archive.objects.update(forget_at=long_ago)
    Archive.objects.filter(pk=gone.pk).update(forget_at=long_ago + timedelta(minutes=1))
    *stuck, _ = ArchiveFactory.create_batch(3)
    Archive.objects.filter(state=Archive.State.AWAITING_UPLOAD).update(created_at=long_ago - timedelta(days=30))
    for key in [*(image.upload_key for image in refused), *(archive.key for archive in [*kept, *stuck])]:
        refuse(key)
    monkeypatch.setattr(originals, "FORGOTTEN_AT_ONCE", 2)
    monkeypatch.setattr(archives, "GIVEN_UP_AT_ONCE", 2)
    for _ in range(30):  # chance decides whose turn it is
        forget_originals()
        sweep_archives()
    assert set(Image.objects.filter(original_forgotten=False)) == set(refused)
    assert set(Archive.objects.filter(forget_at__isnull=False)) == set(kept)
    assert set(Archive.objects.filter(state=Archive.State.AWAITING_UPLOAD)) == set(stuck)
