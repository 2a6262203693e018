"""Tells clinics' software what has happened: several endpoints at a time, so that a slow one holds up no other."""

import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import structlog

from webapp.queue import Task, ring_now
from webapp.webhooks.delivery import claim_deliveries, finish, send
from webapp.webhooks.models import Delivery
from webapp.webhooks.post import Answer
from workers.task import RUN_SECONDS, task

logger = structlog.get_logger(__name__)
SENDERS = 16
LOOK_SECONDS = 0.5  # how soon what comes in the meantime is seen, while all that is under way is slow

UnderWay = dict[Future[Answer], tuple[uuid.UUID, Delivery]]


@task(Task.WEBHOOKS, soft_limit=120, hard_limit=150, alone=True)
def send_webhooks() -> None:
    """Send due deliveries until none is left. Only this thread speaks to the database."""
    stop_at = time.monotonic() + RUN_SECONDS
    under_way: UnderWay = {}
    with ThreadPoolExecutor(SENDERS, thread_name_prefix="webhook") as senders:
        while True:
            late = time.monotonic() > stop_at
            if not late and len(under_way) < SENDERS:
                token, deliveries = claim_deliveries(limit=SENDERS - len(under_way))
                under_way |= {senders.submit(send, delivery): (token, delivery) for delivery in deliveries}
            if not under_way:
                break
            done, _ = wait(under_way, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for sent in done:
                token, delivery = under_way.pop(sent)
                _write_down(delivery, token, _answer(sent))
    if late:
        ring_now(Task.WEBHOOKS)


def _answer(sent: Future[Answer]) -> Answer:
    try:
        return sent.result()
    except Exception:  # the other deliveries go on
        logger.exception("webhook_not_sent")
        return Answer(None, 0.0, "It could not be sent, by a fault of this site. Tell its operator if that stays so.")


def _write_down(delivery: Delivery, token: uuid.UUID, answer: Answer) -> None:
    written = finish(delivery=delivery, token=token, answer=answer)
    logger.info(
        "webhook_sent",
        delivery=str(delivery.pk),
        endpoint=str(delivery.endpoint_id),
        type=delivery.type,
        status=answer.status,
        milliseconds=round(1000 * answer.seconds),
        written=written,
    )
