"""What the provider's templates ask of a case."""

from django import template

from webapp.cases.models import Batch, Case, Image

register = template.Library()

ENDED = (Batch.State.COMPLETED, Batch.State.COMPLETED_WITH_FAILURES)


@register.filter
def stage(case: Case) -> str:
    """Where a case without a result stands, as one of the states that have words."""
    states = [image.state for image in case.images.all()]
    if case.batch.state != Batch.State.CANCELLED:
        for state in (Image.State.AWAITING_UPLOAD, Image.State.STORED):
            if state in states:
                return state
    if states and Image.State.READY not in states:
        return states[0]
    if case.batch.state == Batch.State.CANCELLED:
        return "cancelled"
    return "no_result" if case.batch.state in ENDED else "waiting"
