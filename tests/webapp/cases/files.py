"""Photos with every file that they may have, and what is left of them."""

from datetime import datetime, timedelta

from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ImageFactory,
    JobFactory,
    ReleaseFactory,
    ResultFactory,
)
from webapp import multipart, storage
from webapp.accounts.models import Organisation
from webapp.cases.models import Image, PartedUpload


def with_files(image: Image) -> list[str]:
    """The keys of every file that an image may have, each of them written."""
    ResultFactory(job=JobFactory(image=image, succeeded=True), release=ReleaseFactory())
    parts = multipart.begin(image.upload_key)
    PartedUpload.objects.create(batch=image.batch, key=image.upload_key, upload_id=parts, size=1)
    keys = [image.upload_key, image.clean_key, f"{storage.PARTS}{parts}/1"]
    for key in keys:
        storage.write(key, b"skin")
    return keys


def answered(*, days: float = 0, organisation: Organisation | None = None) -> Image:
    """An image with all its files, whose intake ended so many days ago, of a batch that is complete."""
    batch = BatchFactory(completed=True, **({"organisation": organisation} if organisation else {}))
    image: Image = ImageFactory(case=CaseFactory(batch=batch), ready=True, ended_at=ago(days))
    with_files(image)
    CaseResultFactory(case=image.case)
    return image


def ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def left_of(keys: list[str]) -> list[str]:
    """Those whose file is there."""
    return [key for key in keys if storage.size(key) is not None]


def states() -> list[str]:
    return list(Image.objects.order_by("created_at", "pk").values_list("state", flat=True))
