"""Which events somebody may read: those of their organisation; operators also those of the model."""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.db.models import Q, QuerySet

from webapp.accounts.models import Membership, Organisation
from webapp.audit.models import Event
from webapp.cases.models import Case, Image

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

# What people did who have no account, or none any more; audit/_who.html says which they are.
BY_NOBODY_NAMED = (
    Q(detail=Event.FORGOTTEN)
    | Q(detail__endswith=Event.LEFT)
    | Q(detail__contains="by the link")
    | Q(action__startswith="result_link.")
)

SOFTWARE, SYSTEM, OTHERS = "software", "system", "others"


def events_for(membership: Membership) -> "QuerySet[Event]":
    """The events that this member may read."""
    visible = Q(organisation=membership.organisation)
    if membership.role == Membership.Role.OPERATOR:
        visible |= Q(organisation=None) & _about(OF_THE_MODEL)
    return Event.objects.filter(visible).select_related("user__membership", "api_key")


def filter_events(
    events: "QuerySet[Event]", *, organisation: Organisation, wanted: dict[str, Any]
) -> "QuerySet[Event]":
    """The events that match every filter given: `subject`, `who`, `object_id` (also the clinic's own id of a case),
    `since` and `until` (dates).
    """
    if wanted.get("subject"):
        events = events.filter(_about([wanted["subject"]]))
    if wanted.get("who"):
        events = events.filter(_by(wanted["who"], organisation))
    if wanted.get("object_id"):
        events = events.filter(object_id__in=[wanted["object_id"], *_of_cases(wanted["object_id"], organisation)])
    if wanted.get("since"):
        events = events.filter(at__date__gte=wanted["since"])
    if wanted.get("until"):
        events = events.filter(at__date__lte=wanted["until"])
    return events


def _of_cases(wanted: str, organisation: Organisation) -> list[str]:
    """The ids of the cases that an id names, ours or the clinic's own, which several batches may have, and those of
    their images: whoever looked at one looked at the case.
    """
    named = Q(external_id__iexact=wanted)
    with suppress(ValueError):  # a clinic's own may be of this form too
        named |= Q(pk=uuid.UUID(wanted))
    found = list(Case.objects.filter(named, organisation=organisation).values_list("pk", flat=True))
    images = Image.objects.filter(case__in=found).values_list("pk", flat=True)
    return [str(pk) for pk in (*found, *images)]


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
        return Q(api_key=None, user=None) & ~BY_NOBODY_NAMED
    if who == OTHERS:
        outsiders = Q(user__isnull=False) & ~Q(user__membership__organisation=organisation)
        return Q(api_key=None, user=None) & BY_NOBODY_NAMED | outsiders
    return Q(user_id=who)
