"""Uploads as they were received, which are not kept: EXIF and GPS are in them."""

import time
from datetime import timedelta
from random import random

from django.conf import settings
from django.db.models import Max, Min, Q, QuerySet
from django.utils import timezone

from webapp import storage
from webapp.cases.models import Image
from webapp.cases.retention import delete_files
from webapp.cases.upload_limits import may_be_checked_again

FORGOTTEN_AT_ONCE = 100
FORGET_SECONDS = 5  # of each sweep, which has more to do
LAST_WRITE_SECONDS = 1900  # a task that began before an image ended is stopped by then


def forget_originals() -> int:
    """Make sure that no image that has ended is kept as it was received, with all that its camera wrote into it.

    Intake deletes the original at once. This finds what a worker that died, a client that uploaded and never
    completed, or one that used its upload URL twice has left: it waits until no URL for the image is valid any more.
    Of a deleted photo it deletes every file, as a worker that had begun with it may have written them since; and of one
    that never came, as a file before it may have been refused. One that may be checked again is kept until then. What
    came in the place of one that was refused, and was never put there, goes as well.
    """
    no_url_is_valid = timezone.now() - timedelta(seconds=max(settings.UPLOAD_URL_SECONDS, LAST_WRITE_SECONDS))
    ended = Image.objects.filter(original_forgotten=False, ended_at__lt=no_url_is_valid)
    ended = ended.filter(Q(another_at=None) | Q(another_at__lt=no_url_is_valid)).exclude(may_be_checked_again())
    all_forgotten, stop_at = 0, time.monotonic() + FORGET_SECONDS
    while time.monotonic() < stop_at:
        forgotten = []
        try:
            for image in _from_anywhere(ended):
                if image.another_at and not ended.filter(pk=image.pk).exists():  # another is sent to its place by now
                    continue
                with storage.others_go_on(image=str(image.pk)):
                    _forget(image)
                    forgotten.append(image.pk)
        finally:
            rows = ended.filter(pk__in=forgotten)
            all_forgotten += rows.update(original_forgotten=True, another_at=None)
        if len(forgotten) < FORGOTTEN_AT_ONCE:  # none is left, or storage refuses some
            break
    return all_forgotten


def _from_anywhere(ended: "QuerySet[Image]") -> list[Image]:
    """Some of them in the order in which they ended, and round again from the oldest.

    Chance decides where it begins, so that those that storage refuses keep no others, however many they are; an order
    by chance alone would read and sort them all, each time.
    """
    span = ended.aggregate(first=Min("ended_at"), last=Max("ended_at"))
    if span["first"] is None:
        return []
    begin = span["first"] + random() * (span["last"] - span["first"])  # noqa: S311 - nobody gains by a guess
    in_turn = ended.order_by("ended_at")
    images = list(in_turn.filter(ended_at__gte=begin)[:FORGOTTEN_AT_ONCE])
    return images + list(in_turn.filter(ended_at__lt=begin)[: FORGOTTEN_AT_ONCE - len(images)])


def _forget(image: Image) -> None:
    """Delete what is not to be kept of an image that has ended. Raises StorageAway, ObjectRefused."""
    if image.state in (Image.State.PURGED, Image.State.EXPIRED):
        delete_files([image])
    else:
        for key in (image.upload_key, *image.other_keys):
            storage.delete(key)
