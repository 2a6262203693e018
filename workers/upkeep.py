"""The sweep: every few seconds, what a dead worker or a lost wake-up left behind is set going again.

And what grows old: photos are deleted when their clinic's time for them is over, sessions when they have ended.
"""

import time

import structlog
from django.contrib.sessions.backends.db import SessionStore

from webapp import storage
from webapp.cases.archives import sweep_archives
from webapp.cases.intake import sweep_images
from webapp.cases.originals import forget_originals
from webapp.cases.parts import forget_unknown_parts, sweep_parts
from webapp.cases.retention import delete_old_photos
from webapp.inference.services import sweep_jobs
from webapp.notify.delivery import sweep_messages
from webapp.operations.services import note_storage, note_sweep
from webapp.queue import Task, ring_now
from webapp.registry.training import sweep_training
from webapp.webhooks.delivery import sweep_webhooks
from workers.task import RUN_SECONDS, task

logger = structlog.get_logger(__name__)
SWEEPS = {
    "images": sweep_images,
    "jobs": sweep_jobs,
    "messages": sweep_messages,
    "webhooks": sweep_webhooks,
    # These ask storage, which may hang; the first of them for seconds only.
    "storage": note_storage,
    "archives": sweep_archives,
    "originals": forget_originals,
    "half_written": storage.forget_broken_off,
    "parts": sweep_parts,
    "training_runs": sweep_training,
}


@task(Task.SWEEP, soft_limit=60, hard_limit=90, alone=True)
def sweep() -> None:
    """Return expired leases, give up what will never come, and ring for whatever still waits."""
    note_sweep()
    swept = {}
    for name, sweep_one in SWEEPS.items():
        try:
            swept[name] = sweep_one()
        except Exception:  # one table that cannot be swept must not leave the others behind
            logger.exception("sweep_failed", table=name)
    if any(swept.values()):
        logger.info("swept", **swept)


@task(Task.DELETE_OLD, soft_limit=120, hard_limit=150)
def delete_old() -> None:
    """Delete parts that no row names; photos that are older than their clinics keep them, a few at a time; and, last,
    because it is one statement for all of them, sessions that have ended, with what people typed into them.
    """
    started = time.monotonic()
    try:
        if forgotten := forget_unknown_parts():
            logger.info("unknown_parts_forgotten", uploads=forgotten)
    except Exception:  # storage is away, or does not list them: no reason to keep photos for longer
        logger.exception("unknown_parts_not_forgotten")
    while deleted := delete_old_photos():
        logger.info("old_photos_deleted", images=deleted)
        if time.monotonic() - started > RUN_SECONDS:
            ring_now(Task.DELETE_OLD)
            return
    SessionStore.clear_expired()
