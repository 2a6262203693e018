"""Bulk work makes way for people, and archives are unpacked beside each other, never in all of a worker's processes."""

import multiprocessing
import os
import re
import signal
import uuid
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from django.db import connection, connections
from pytest_django.fixtures import Settings

from tests.factories import ArchiveFactory, BatchFactory, CaseFactory, ImageFactory
from webapp import storage
from webapp.cases.intake import InspectionResult
from webapp.cases.models import Archive, Image
from workers import intake

FORK = multiprocessing.get_context("fork")


def unpack(said: Connection) -> None:
    """What one of a worker's processes does when it is woken."""
    intake.expand_waiting()
    said.send("nothing to do")


@pytest.mark.django_db
def test_of_a_file_that_is_too_large_no_more_is_read_than_tells_it(settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 10
    image = ImageFactory()
    storage.write(image.upload_key, b"x" * 1000)

    assert len(storage.read(image.upload_key, limit=11)) == 11
    assert intake.inspect(image).code == "too_large_bytes"


@pytest.mark.django_db(transaction=True)
def test_archives_leave_a_process_free_and_one_that_is_killed_gives_its_turn_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ArchiveFactory.create_batch(4, state=Archive.State.STORED)
    here, there = FORK.Pipe()

    def slowly(token: uuid.UUID, archive: Archive, **_: object) -> bool:
        there.send("unpacking")
        signal.pause()
        return True

    monkeypatch.setattr(intake, "expand", slowly)
    connections.close_all()  # none is shared with a fork
    processes = [FORK.Process(target=unpack, args=(there,)) for _ in range(intake.ARCHIVES_AT_ONCE + 1)]
    for process in processes:
        process.start()
    try:
        said = sorted(here.recv() for _ in processes if here.poll(60))
        assert said == ["nothing to do", *["unpacking"] * intake.ARCHIVES_AT_ONCE]
        assert Archive.objects.exclude(lease_token=None).count() == intake.ARCHIVES_AT_ONCE
        busy = [process for process in processes if process.is_alive() and process.pid is not None]
        os.kill(busy[0].pid or 0, signal.SIGKILL)
        busy[0].join(60)
        monkeypatch.setattr(intake, "expand", lambda token, archive, **_: True)
        for _ in range(2):  # one after the other
            intake.expand_waiting()
        assert Archive.objects.exclude(lease_token=None).count() == intake.ARCHIVES_AT_ONCE + 2
    finally:
        for process in processes:
            process.kill()
            process.join(60)
        connection.close()


@pytest.mark.parametrize(
    "file", ["docker-compose.yml", "deploy/local/commands.py", "deploy/kubernetes/base/worker-cpu.yaml"]
)
def test_every_worker_has_a_process_for_photos_beside_those_that_unpack_and_one_that_sends(file: str) -> None:
    found = re.findall(r"prefork\W+concurrency\W+(\d+)", Path(file).read_text())
    assert [int(processes) > intake.ARCHIVES_AT_ONCE + 1 for processes in found] == [True]


@pytest.mark.parametrize(("seconds", "looks"), [(0.2, 9), (0.02, 4), (0.002, 0)])
def test_bulk_work_looks_for_people_before_they_would_notice(
    monkeypatch: pytest.MonkeyPatch, seconds: float, looks: int
) -> None:
    now, looked = [0.0], list[float]()
    claims = iter([[Image() for _ in range(10)], []])

    def inspect(image: Image) -> InspectionResult:
        now[0] += seconds
        return InspectionResult()

    def somebody_waits() -> bool:
        looked.append(now[0])
        return False

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(intake, "claim_images", lambda limit, **_: (uuid.uuid4(), next(claims)))
    monkeypatch.setattr(intake, "finish_intake", lambda token, inspected: [])
    monkeypatch.setattr(intake, "inspect", inspect)
    monkeypatch.setattr(intake, "somebody_waits", somebody_waits)
    intake.inspect_waiting.run()
    assert len(looked) == looks


@pytest.mark.django_db(transaction=True)
def test_what_is_tried_once_more_one_by_one_holds_up_nobodys_first_check() -> None:
    tried = CaseFactory(batch=BatchFactory())
    ImageFactory.create_batch(4, case=tried, stored=True, attempt=1)
    first = CaseFactory(batch=BatchFactory())
    ImageFactory.create_batch(2, case=first, stored=True)

    intake.inspect_waiting.run()

    ended = Image.objects.order_by("ended_at").values_list("case", flat=True)
    assert list(ended) == [tried.pk, first.pk, first.pk, *[tried.pk] * 3]
