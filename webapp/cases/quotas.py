"""How many images an organisation may send, where its administrator has set a limit. Patients' photos never count."""

import math
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from webapp.accounts.models import Organisation
from webapp.cases.models import Batch, Image, Priority
from webapp.errors import Problem
from webapp.inference.models import Job
from webapp.pages.words import counted

DAY = timedelta(days=1)
ASK_AGAIN_SECONDS = 60  # a queue that is full is emptied by minutes, not by hours


class NoRoomYet(Problem):
    """A limit would be passed now, and will not be later: waiting helps."""


@dataclass(frozen=True)
class Usage:
    """What an organisation has sent and what it may; None where nothing limits it."""

    sent: int
    a_day: int | None
    queued: int
    at_once: int | None


def usage(organisation: Organisation) -> Usage | None:
    """What counts towards the organisation's quotas now; None where it has none."""
    if _unlimited(organisation):
        return None
    queued = _awaited(organisation).count() + _at_the_model(organisation).count()
    return Usage(_sent(organisation).count(), organisation.images_a_day, queued, organisation.images_queued)


def require_room(*, organisation: Organisation, images: int) -> None:
    """Raise Problem `daily_quota` or `queue_quota` (429, with the seconds to wait) if that many more are too many, as
    NoRoomYet where they alone are not.

    For the transaction that adds the images: where there is a quota, nobody else adds any for this organisation until
    it ends. No images always have room, so that what was begun within a quota is gone on with.

    Images that were announced and not uploaded count in the queue: an upload is not refused, so this is the only moment
    at which a limit can hold. They count until their batch is cancelled, or they are given up.
    """
    if images == 0 or _unlimited(organisation):
        return
    organisation = Organisation.objects.select_for_update(no_key=True).get(pk=organisation.pk)
    used = usage(organisation)
    if used is None:
        return
    never_at_once = used.at_once is not None and images > used.at_once  # asked first: a day with room would not help
    if not never_at_once and used.a_day is not None and used.sent + images > used.a_day:
        seconds = _seconds_until_room(organisation, used.sent + images - used.a_day)
        raise (NoRoomYet if images <= used.a_day else Problem)(
            "daily_quota",
            f"Your organisation may send {counted(used.a_day, 'image')} in 24 hours and has sent {used.sent}. "
            + (
                f"Send fewer now, or these in {_in_words(seconds)}."
                if images <= used.a_day
                else _what_helps(used.a_day)
            ),
            status=429,
            retry_after=seconds,
        )
    if used.at_once is not None and used.queued + images > used.at_once:
        raise (Problem if never_at_once else NoRoomYet)(
            "queue_quota",
            f"Your organisation may have {counted(used.at_once, 'image')} in the queue at once and has {used.queued}. "
            + (_what_helps(used.at_once) if never_at_once else _how_the_queue_empties(organisation)),
            status=429,
            retry_after=round(DAY.total_seconds()) if never_at_once else ASK_AGAIN_SECONDS,
        )


def _unlimited(organisation: Organisation) -> bool:
    return organisation.images_a_day is None and organisation.images_queued is None


def _sent(organisation: Organisation) -> QuerySet[Image]:
    since = timezone.now() - DAY
    return Image.objects.filter(
        case__organisation=organisation, case__created_at__gt=since, priority=Priority.BULK
    ).order_by("created_at")


def _awaited(organisation: Organisation) -> QuerySet[Image]:
    """Those to come and those being checked, as far as somebody still wants them."""
    return Image.objects.filter(
        organisation=organisation,
        priority=Priority.BULK,
        state__in=Image.UNENDED,
        batch__state__in=Batch.LIVE,
    )


def _at_the_model(organisation: Organisation) -> QuerySet[Job]:
    return Job.objects.filter(organisation=organisation, priority=Priority.BULK, state__in=Job.LIVE)


def _seconds_until_room(organisation: Organisation, excess: int) -> int:
    """Until so many of the images of the last day are older than that; a day where there are not so many."""
    oldest = _sent(organisation).values_list("created_at", flat=True)[:excess]
    times = list(oldest)
    if len(times) < excess:
        return round(DAY.total_seconds())
    return max(1, math.ceil((times[-1] + DAY - timezone.now()).total_seconds()))


def _how_the_queue_empties(organisation: Organisation) -> str:
    """What to do about a request that has room once others have been answered."""
    to_come = _awaited(organisation).filter(state=Image.State.AWAITING_UPLOAD).count()
    one = to_come == 1
    told = f"{'is' if one else 'are'} not uploaded: upload {'it' if one else 'them'}, or cancel"
    first = f"Of these {to_come} {told} {'its batch' if one else 'their batches'}. " if to_come else ""
    return f"{first}Send fewer at once, or wait until some are answered."


def _what_helps(limit: int) -> str:
    """What to do about a request that is larger than a limit, so that no waiting makes room for it."""
    most = f"Send at most {limit} at a time; waiting does not help. Or" if limit else "Please"
    return f"{most} ask your site's administrator for more."


def _in_words(seconds: int) -> str:
    """So long and a little more, in the largest unit of which there are two."""
    minutes = math.ceil(seconds / 60)
    hours = math.ceil(minutes / 60)
    return counted(hours, "hour") if hours > 1 else counted(minutes, "minute")
