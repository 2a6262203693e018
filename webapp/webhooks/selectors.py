"""A clinic's webhooks and what became of their deliveries."""

from django.db.models import DateTimeField, OuterRef, QuerySet, Subquery

from webapp.accounts.models import Organisation
from webapp.webhooks.models import TEST, Delivery, Endpoint


def endpoints_of(organisation: Organisation) -> QuerySet[Endpoint]:
    """The organisation's endpoints, newest first, each with `delivered_at`: when it last took an event, tests apart."""
    taken = Delivery.objects.filter(endpoint=OuterRef("pk"), state=Delivery.State.DELIVERED).exclude(type=TEST)
    last = Subquery(taken.order_by("-created_at").values("ended_at")[:1], output_field=DateTimeField())
    return Endpoint.objects.filter(organisation=organisation).annotate(delivered_at=last).order_by("-created_at")


def deliveries_of(endpoint: Endpoint, *, state: str = "") -> QuerySet[Delivery]:
    """The endpoint's deliveries, those in one state where `state` names one."""
    rows = endpoint.deliveries.all()
    return rows.filter(state=state) if state in Delivery.State.values else rows
