"""Which events somebody may read: those of their organisation; operators also those of the model."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet

from webapp.accounts.models import Membership, Organisation
from webapp.audit.models import Event

# What an action is about, which is what stands before its dot.
SUBJECTS = {
    "api_key": "API keys",
    "archive": "Archives",
    "batch": "Batches",
    "case": "Cases",
    "image": "Images",
    "label": "Labels",
    "membership": "Members",
    "message": "Messages",
    "organisation": "Organisation",
    "patient": "Patients",
    "release": "Model releases",
    "result": "Results",
    "result_link": "Links to results",
    "training": "Training",
    "webhook": "Webhooks",
}
OF_THE_MODEL = ("release", "training")

SOFTWARE, SYSTEM, OTHERS = "software", "system", "others"


def events_for(membership: Membership) -> "QuerySet[Event]":
    """The events that this member may read."""
    visible = Q(organisation=membership.organisation)
    if membership.role == Membership.Role.OPERATOR:
        visible |= Q(organisation=None) & _about(OF_THE_MODEL)
    return Event.objects.filter(visible).select_related("user__membership", "api_key")


def narrowed(events: "QuerySet[Event]", *, organisation: Organisation, wanted: dict[str, Any]) -> "QuerySet[Event]":
    """The events that match every filter given: `subject`, `who`, `object_id`, `since` and `until` (dates)."""
    if wanted.get("subject"):
        events = events.filter(_about([wanted["subject"]]))
    if wanted.get("who"):
        events = events.filter(_by(wanted["who"], organisation))
    if wanted.get("object_id"):
        events = events.filter(object_id=wanted["object_id"])
    if wanted.get("since"):
        events = events.filter(at__date__gte=wanted["since"])
    if wanted.get("until"):
        events = events.filter(at__date__lte=wanted["until"])
    return events


def members(organisation: Organisation) -> "QuerySet[Membership]":
    """Who works for the organisation."""
    return organisation.memberships.select_related("user").order_by("user__email")


def _about(subjects: Sequence[str]) -> Q:
    condition = Q()
    for subject in subjects:
        condition |= Q(action__startswith=f"{subject}.")
    return condition


def _by(who: str, organisation: Organisation) -> Q:
    if who == SOFTWARE:
        return Q(api_key__isnull=False)
    if who == SYSTEM:
        return Q(api_key=None, user=None) & ~Q(detail=Event.FORGOTTEN)
    if who == OTHERS:
        return Q(detail=Event.FORGOTTEN) | Q(user__isnull=False) & ~Q(user__membership__organisation=organisation)
    return Q(user_id=who)
