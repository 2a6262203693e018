"""Which images the model sees next."""

import uuid

from webapp.cases.models import Priority
from webapp.inference.models import BLAMELESS, SUSPECT, Job
from webapp.turns import Queue, claim_in_turns

QUEUE, SUSPECTS = (
    Queue("inference_job", waiting=f"state = 'queued' AND attempt {which}", order="id", changes="state = 'running',")
    for which in (f"< {BLAMELESS}", f">= {BLAMELESS}")
)


def claim_jobs(*, limit: int, people_only: bool = False, suspects: bool = True) -> tuple[uuid.UUID, list[Job]]:
    """Lease up to `limit` queued jobs, in turns; committed on return. Gives the lease's token and the jobs.

    `people_only` leaves bulk work where it is. A suspect job comes alone, after the people who wait, so that if it is
    what kills workers it cannot take others with it; a worker that holds other jobs asks without `suspects`.
    """
    if suspects and not (people_only or somebody_waits()) and Job.objects.filter(SUSPECT).exists():
        token, jobs = _claim(SUSPECTS, 1, Priority.BULK)  # in turns too: one clinic's many hold up nobody's
        if jobs:
            return token, jobs
    return _claim(QUEUE, limit, Priority.INTERACTIVE if people_only else Priority.BULK)


def _claim(queue: Queue, limit: int, priority: int) -> tuple[uuid.UUID, list[Job]]:
    token, ids = claim_in_turns(queue, limit=limit, priority=priority)
    return token, list(Job.objects.filter(pk__in=ids).select_related("image").order_by("priority", "pk"))


def somebody_waits() -> bool:
    """Whether the photo of a person who waits is queued, and is no suspect."""
    waiting = Job.objects.filter(state=Job.State.QUEUED, priority=Priority.INTERACTIVE)
    return waiting.filter(attempt__lt=BLAMELESS).exists()
