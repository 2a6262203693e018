"""Images whose bytes are in storage: their upload is complete, and intake follows."""

import uuid
from collections.abc import Mapping, Sequence
from typing import IO, Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from webapp import storage
from webapp.audit.services import Actor, record
from webapp.cases.locks import locked
from webapp.cases.models import Batch, Image, PartedUpload
from webapp.cases.parts import arrived_size
from webapp.cases.upload_limits import given_up_before
from webapp.errors import Problem
from webapp.queue import Task, ring

Problems = dict[uuid.UUID, Problem]
NEVER_UPLOADED = {
    "state": Image.State.EXPIRED,
    "reason": "not_uploaded",
    "advice": "No file arrived for this picture before its batch was sent, or in time. Put it in a new batch.",
}
NOTHING_STORED = "No file has arrived for this image. Upload it, then complete it again."
MAX_TRIES = 20  # in the place of one file: those of each are deleted once more when the image has ended
RESET_TO_AWAITING: dict[str, Any] = {
    "state": Image.State.AWAITING_UPLOAD,
    **dict.fromkeys(["reason", "advice", "sha256"], ""),
    **dict.fromkeys(["size", "width", "height", "attempt"], 0),
    **dict.fromkeys(["another_at", "stored_at", "ended_at"]),
    "quality": [],
    "original_forgotten": False,
    "tries": F("tries") + 1,
}
STORED = """
UPDATE cases_image SET state = 'stored', size = arrived.size, stored_at = %s
FROM unnest(%s::uuid[], %s::smallint[], %s::bigint[]) AS arrived (id, tries, size)
WHERE cases_image.id = arrived.id AND cases_image.tries = arrived.tries AND state = 'awaiting_upload'
RETURNING cases_image.id
"""


def complete_upload(*, image: Image) -> Image:
    """Say that an image's bytes are in storage; intake follows. Saying it twice changes nothing.

    Raises Problem `upload_missing` when nothing is stored, `parts_missing`, and `upload_expired` when the image was
    given up.
    """
    for problem in complete_uploads(images=[image]).values():
        raise problem
    return image


def complete_uploads(*, images: Sequence[Image]) -> Problems:
    """Say the same of several images of one batch, which gain their new states, and the reasons of those whose intake
    has ended meanwhile.

    Gives why some are not complete, as `complete_upload` would raise it. The number of queries is the same for any
    number of images, but for those that come in parts.
    """
    awaited = [image for image in images if image.state == Image.State.AWAITING_UPLOAD]
    sizes, broken = _arrived(awaited)
    stored = mark_stored(batch_id=images[0].batch_id, sizes=sizes)
    for image in awaited:
        if image.pk in stored:
            image.state = Image.State.STORED
    if others := [image for image in awaited if image.pk not in stored]:  # some may have ended in this moment
        outcomes = Image.objects.only("state", "reason", "advice", "quality").in_bulk([image.pk for image in others])
        for image in others:
            now = outcomes[image.pk]
            image.state, image.reason, image.advice, image.quality = now.state, now.reason, now.advice, now.quality
    problems = ((image.pk, _unfinished(image)) for image in images)
    return {pk: broken.get(pk, problem) for pk, problem in problems if problem}


@transaction.atomic
def await_again(*, actor: Actor, image: Image) -> Image:
    """Let another file come in the place of one that was refused, while the batch is open.

    One that is awaited stays so. Raises Problem `not_awaited` where it was taken, given up or refused too often, or the
    batch was sent.
    """
    if _change_refused(image, RESET_TO_AWAITING):
        record(actor=actor, action="image.awaited_again", object_id=image.pk, organisation=image.organisation)
    return image


@transaction.atomic
def await_replacement(*, image: Image) -> Image:
    """Let another file come to the `awaited_key` of one that was refused, and stays until `complete_replacement`.

    One that is awaited stays so. Raises Problem as `await_again` does.
    """
    _change_refused(image, {"another_at": timezone.now(), "original_forgotten": False})
    return image


def complete_replacement(*, actor: Actor, image: Image) -> None:
    """Complete the upload of another file for an image that was refused; intake follows. Of any other image this is
    `complete_upload`.

    Raises Problem `upload_missing` where nothing is stored, `parts_missing`, and as `await_again` does.
    """
    if image.state != Image.State.REJECTED:
        complete_upload(image=image)
    elif (size := arrived_size(image.awaited_key)) is None:
        raise Problem("upload_missing", NOTHING_STORED)
    else:
        _replace(actor, image, size)


def store_replacement(*, actor: Actor, image: Image, file: IO[bytes]) -> None:
    """Store another file that came through the site itself in the place of one that was refused.

    Raises Problem as `await_again` does.
    """
    await_replacement(image=image)
    if image.state != Image.State.REJECTED:
        store_upload(image=image, file=file)
    else:
        _replace(actor, image, _write(image.awaited_key, file))


@transaction.atomic
def _replace(actor: Actor, image: Image, size: int) -> None:
    """Let the file of so many bytes that is in storage beside the refused one take its place."""
    key = image.awaited_key
    if await_again(actor=actor, image=image).upload_key != key:  # somebody's was quicker, and was refused
        raise _not_awaited("replaced by another file")
    mark_stored(batch_id=image.batch_id, sizes={image: size})


def _change_refused(image: Image, changes: dict[str, Any]) -> bool:
    """Change one that was refused, and whose batch nobody sends in this moment; False where it is awaited."""
    batch = locked(image.batch_id)
    refused = Image.objects.filter(pk=image.pk, state=Image.State.REJECTED, created_at__gte=given_up_before())
    changed = batch.state == Batch.State.OPEN and refused.filter(tries__lt=MAX_TRIES).update(**changes) > 0
    image.refresh_from_db()
    if not changed and image.state != Image.State.AWAITING_UPLOAD:
        spent = image.state == Image.State.REJECTED and image.tries >= MAX_TRIES
        raise _not_awaited("refused too often" if spent else "completed or given up")
    return changed


def _not_awaited(became: str) -> Problem:
    return Problem("not_awaited", f"This image was {became} already. Put another in a new batch.")


def _unfinished(image: Image) -> Problem | None:
    if image.state == Image.State.AWAITING_UPLOAD:
        return Problem("upload_missing", NOTHING_STORED)
    if image.state == Image.State.EXPIRED:
        return Problem("upload_expired", "This upload was given up. Send the image in a new batch.", status=410)
    return None


def _arrived(images: Sequence[Image]) -> tuple[dict[Image, int], Problems]:
    """The sizes in bytes of those that have arrived, and what is wrong with those whose parts have not all.

    Asks storage, which may be slow, while nothing is locked.
    """
    keys = {image.upload_key: image for image in images}
    parted = PartedUpload.objects.filter(batch__in={image.batch_id for image in images}).values_list("key", flat=True)
    in_parts = keys.keys() & set(parted)
    sizes = storage.sizes([key for key in keys if key not in in_parts])
    broken: Problems = {}
    for key in in_parts:
        try:
            sizes[key] = arrived_size(key)
        except Problem as problem:
            broken[keys[key].pk] = problem
    return {keys[key]: size for key, size in sizes.items() if size is not None}, broken


@transaction.atomic
def mark_stored(*, batch_id: uuid.UUID, sizes: Mapping[Image, int]) -> set[uuid.UUID]:
    """Mark images of a batch as stored, each with its size in bytes; intake follows. Gives the ids of those marked.

    An image that is not awaited any more is left as it is, and so is one of which another file is awaited by now.
    """
    if not sizes:
        return set()
    if len(sizes) > 1:
        locked(batch_id)
    with connection.cursor() as cursor:
        ids, tries = [image.pk for image in sizes], [image.tries for image in sizes]
        cursor.execute(STORED, [timezone.now(), ids, tries, [*sizes.values()]])
        stored = {pk for (pk,) in cursor.fetchall()}
    ring(Task.INSPECT)
    return stored


def store_upload(*, image: Image, file: IO[bytes]) -> None:
    """Store an image's bytes that came through the site itself, and complete its upload.

    One that is not awaited any more is left as it is.
    """
    mark_stored(batch_id=image.batch_id, sizes={image: _write(image.upload_key, file)})


def _write(key: str, file: IO[bytes]) -> int:
    """Store a file, of a larger one than may come enough for intake to refuse it by its size; gives how many bytes."""
    data = file.read(settings.UPLOAD_MAX_BYTES + 1)
    storage.write(key, data)
    return len(data)
