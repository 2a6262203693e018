"""The sweep: every few seconds, what a dead worker or a lost wake-up left behind is set going again."""

import structlog

from webapp.cases.archives import sweep_archives
from webapp.cases.intake import forget_originals, sweep_images
from webapp.cases.parts import sweep_parts
from webapp.inference.services import sweep_jobs
from webapp.notify.delivery import sweep_messages
from webapp.queue import Task
from webapp.registry.training import sweep_training
from webapp.webhooks.delivery import sweep_webhooks
from workers.task import task

logger = structlog.get_logger(__name__)
SWEEPS = {
    "images": sweep_images,
    "originals": forget_originals,
    "archives": sweep_archives,
    "parts": sweep_parts,
    "jobs": sweep_jobs,
    "messages": sweep_messages,
    "webhooks": sweep_webhooks,
    "training_runs": sweep_training,
}


@task(Task.SWEEP, soft_limit=60, hard_limit=90)
def sweep() -> None:
    """Return expired leases, give up what will never come, and ring for whatever still waits."""
    swept = {}
    for name, sweep_one in SWEEPS.items():
        try:
            swept[name] = sweep_one()
        except Exception:  # one table that cannot be swept must not leave the others behind
            logger.exception("sweep_failed", table=name)
    if any(swept.values()):
        logger.info("swept", **swept)
