"""Which images the model sees next."""

import uuid

from webapp.cases.models import Priority
from webapp.inference.models import BLAMELESS, SUSPECT, Job
from webapp.leases import claim
from webapp.turns import Queue, claim_in_turns

WAITING = f"state = 'queued' AND attempt < {BLAMELESS}"
QUEUE = Queue("inference_job", waiting=WAITING, order="id", changes="state = 'running',")


def claim_jobs(*, limit: int, people_only: bool = False, suspects: bool = True) -> tuple[uuid.UUID, list[Job]]:
    """Lease up to `limit` queued jobs, in turns; committed on return. Gives the lease's token and the jobs.

    `people_only` leaves bulk work where it is. A suspect job comes alone, after the people who wait, so that if it is
    what kills workers it cannot take others with it; a worker that holds other jobs asks without `suspects`.
    """
    if suspects and not (people_only or somebody_waits()):
        alone = Job.objects.filter(SUSPECT).select_related("image").order_by("pk")
        token, jobs = claim(alone, limit=1, state=Job.State.RUNNING)
        if jobs:
            return token, jobs
    token, ids = claim_in_turns(QUEUE, limit=limit, priority=Priority.INTERACTIVE if people_only else Priority.BULK)
    return token, list(Job.objects.filter(pk__in=ids).select_related("image").order_by("priority", "pk"))


def somebody_waits() -> bool:
    """Whether the photo of a person who waits is queued, and is no suspect."""
    waiting = Job.objects.filter(state=Job.State.QUEUED, priority=Priority.INTERACTIVE)
    return waiting.filter(attempt__lt=BLAMELESS).exists()
