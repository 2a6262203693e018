"""Recording who viewed or changed what."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Value
from django.db.models.functions import Concat, Left
from django.utils import timezone

from webapp.accounts.models import ApiKey, Organisation, User
from webapp.audit.models import Event


@dataclass(frozen=True)
class Actor:
    """Who acts: a person, a clinic's software by its key, or (neither) the system itself."""

    user: User | None = None
    api_key: ApiKey | None = None


SYSTEM = Actor()
SAME_VIEW = timedelta(minutes=5)


def record(
    *, actor: Actor, action: str, object_id: object, organisation: Organisation | None, detail: str = ""
) -> None:
    """Add one event. `detail` must hold no personal data and no finding."""
    Event.objects.create(
        user=actor.user,
        api_key=actor.api_key,
        organisation=organisation,
        action=action,
        object_id=str(object_id),
        detail=detail[:300],
    )


def record_view(*, actor: Actor, action: str, object_id: object, organisation: Organisation) -> None:
    """Add one event, unless the same actor's is of the last minutes: a page that is open renews itself."""
    record_views(actor=actor, action=action, object_ids=[object_id], organisation=organisation)


def record_views(*, actor: Actor, action: str, object_ids: Iterable[object], organisation: Organisation) -> None:
    """Add an event for each of these as `record_view` does for one, in as many queries."""
    seen = [str(one) for one in object_ids]
    by = {"user": actor.user, "api_key": actor.api_key, "action": action}
    recent = Event.objects.filter(**by, object_id__in=seen, at__gt=timezone.now() - SAME_VIEW)
    told = set(recent.values_list("object_id", flat=True))
    Event.objects.bulk_create(Event(**by, organisation=organisation, object_id=one) for one in seen if one not in told)


def forget_actor(*, user: User, about: Collection[object]) -> None:
    """Take a patient's account out of the events about what is erased, given by ids: they say "the patient"."""
    events = Event.objects.filter(user=user, object_id__in=[str(one) for one in about])
    events.update(user=None, detail=Event.FORGOTTEN)


def forget_account(*, user: User) -> None:
    """Take an account that is being deleted out of all events: of these, too, it is told that a person did them."""
    events = Event.objects.filter(user=user)
    events.filter(detail="").update(user=None, detail=Event.LEFT)
    events.update(user=None, detail=Concat(Left("detail", 250), Value(f", {Event.LEFT}")))
