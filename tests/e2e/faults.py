"""Breaks a running service in every way that it must survive, and counts what came of each image."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environ
import httpx
import psycopg2

from deploy.local.clinic import Clinic, Photo
from deploy.local.stack import Stack


@dataclass(frozen=True)
class Report:
    """What became of a batch. Everything is counted in the database and in the mailbox, not in what clients saw."""

    images: int
    refused: int  # by intake, so that they never came to the model
    state: str
    results: int
    images_with_one_result: int
    live_jobs: int
    messages_sent: int
    messages_in_mailbox: int
    struck_at: Sequence[int]  # how many images had ended when each fault struck
    seconds: float

    @property
    def nothing_lost_or_doubled(self) -> bool:
        """Whether every image that came to the model has one result, nothing is left over, and one message went out."""
        once = self.results == self.images_with_one_result == self.images - self.refused
        return once and self.live_jobs == 0 and self.messages_sent == self.messages_in_mailbox == 1


def break_everything(stack: Stack, clinic: Clinic, photos: Sequence[Photo], *, timeout: float) -> Report:
    """Submit `photos` as a batch; kill -9 the inference worker three times on the way, empty Redis once, restart
    Postgres once; wait for the batch to end. Raises TimeoutError if it does not.
    """
    started = time.monotonic()
    batch_id = clinic.submit(photos, name="faults")["id"]
    struck: list[int] = []

    def strike(share: float, fault: Callable[[], None]) -> None:
        struck.append(_wait_until_answered(clinic, batch_id, len(photos), share, started + timeout))
        fault()

    def kill_worker() -> None:
        stack.kill("worker-inference")
        stack.start("worker-inference")

    strike(0.1, kill_worker)
    strike(0.25, stack.flush_redis)
    strike(0.4, kill_worker)
    strike(0.6, stack.restart_postgres)
    strike(0.75, kill_worker)
    _wait_until_answered(clinic, batch_id, len(photos), 1, started + timeout)
    seconds = time.monotonic() - started
    return _count(stack, batch_id, len(photos), struck, seconds)


def _wait_until_answered(clinic: Clinic, batch_id: str, images: int, share: float, deadline: float) -> int:
    """Wait until this share of the images has ended; gives how many have."""
    ended = 0
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):  # the database is restarting: the client asks again
            batch = clinic.batch(batch_id)
            ended = images - int(batch["remaining"])
            if ended >= share * images and (share < 1 or batch["state"] != "submitted"):
                return ended
        time.sleep(0.1)
    raise TimeoutError(f"{ended} of {images} images ended in time")


def _count(stack: Stack, batch_id: str, images: int, struck: Sequence[int], seconds: float) -> Report:
    facts: dict[str, Any] = _facts(stack, batch_id)
    return Report(
        images=images,
        struck_at=struck,
        seconds=round(seconds, 1),
        messages_in_mailbox=sum(
            batch_id in part
            for path in Path(stack.environment["MAILBOX_FOLDER"]).glob("*")
            for part in path.read_text().split("\nMessage-ID:")
        ),
        **facts,
    )


def _facts(stack: Stack, batch_id: str) -> dict[str, Any]:
    """Count in the database, once the message about the batch has been sent."""
    deadline = time.monotonic() + 30
    database = environ.Env.db_url_config(stack.environment["DATABASE_URL"])
    with (
        psycopg2.connect(host=database["HOST"], user=database["USER"], dbname=database["NAME"]) as connection,
        connection.cursor() as cursor,
    ):

        def rows(query: str) -> list[tuple[Any, ...]]:
            cursor.execute(query, {"batch": batch_id})
            return cursor.fetchall()

        while time.monotonic() < deadline:
            sent = Counter(state for (state,) in rows("SELECT state FROM notify_message WHERE batch_id = %(batch)s"))
            if set(sent) == {"sent"}:
                break
            connection.rollback()
            time.sleep(0.2)
        per_image = rows(
            "SELECT count(r.id) FROM cases_image i LEFT JOIN inference_result r ON r.image_id = i.id "
            "WHERE i.batch_id = %(batch)s GROUP BY i.id"
        )
        [(state,)] = rows("SELECT state FROM cases_batch WHERE id = %(batch)s")
        [(live,)] = rows(
            "SELECT count(*) FROM inference_job WHERE batch_id = %(batch)s AND state IN ('queued', 'running')"
        )
        [(refused,)] = rows("SELECT count(*) FROM cases_image WHERE batch_id = %(batch)s AND state = 'rejected'")
    return {
        "refused": refused,
        "state": state,
        "results": sum(count for (count,) in per_image),
        "images_with_one_result": sum(count == 1 for (count,) in per_image),
        "live_jobs": live,
        "messages_sent": sent["sent"],
    }
