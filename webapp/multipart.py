"""A file that comes to object storage in parts: S3's multipart upload, and the same for a local folder.

Parts come in any order, several at once, and again where one was lost. Which have arrived is asked of the storage
itself, so nobody keeps count. In a local folder they wait under `parts/<upload id>/<number>`. Whatever asks storage
raises StorageAway, but `begun_before`, where the error of the library comes through.
"""

import math
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage

from webapp import storage
from webapp.storage import UploadTarget

PART_BYTES = 8 * 1024**2  # S3 takes none below 5 MiB but the last
MAX_PARTS = 1000  # S3 lists as many at once


def part_sizes(size: int) -> list[int]:
    """The bytes of each part of a file of `size` bytes: all alike but the last."""
    each = max(PART_BYTES, math.ceil(size / MAX_PARTS))
    whole, rest = divmod(size, each)
    return [each] * whole + ([rest] if rest else [])


@storage.asked()
def begin(key: str) -> str:
    """Begin to receive the object `key` in parts; gives the upload's id."""
    if settings.STORAGE_BUCKET:
        return str(storage.s3().create_multipart_upload(**_object(key))["UploadId"])
    upload_id = uuid.uuid4().hex
    Path(default_storage.path(_folder(upload_id))).mkdir(parents=True)
    return upload_id


def target(key: str, upload_id: str, number: int, size: int) -> UploadTarget:
    """A URL that takes one PUT of part `number`, of exactly `size` bytes."""
    if not settings.STORAGE_BUCKET:
        return storage.upload_target(f"{_folder(upload_id)}/{number}", size=size)
    part = {**_object(key), "UploadId": upload_id, "PartNumber": number, "ContentLength": size}
    seconds = settings.UPLOAD_URL_SECONDS
    url = storage.public_s3().generate_presigned_url("upload_part", Params=part, ExpiresIn=seconds)
    return UploadTarget("PUT", url, {"Content-Length": str(size)}, seconds)


@storage.asked()
def arrived(key: str, upload_id: str) -> dict[int, int] | None:
    """The sizes in bytes of the parts that are there, by number; None where no such upload is known any more."""
    if settings.STORAGE_BUCKET:
        parts = _listed(key, upload_id)
        return None if parts is None else {part["PartNumber"]: part["Size"] for part in parts}
    folder = _folder(upload_id)
    if not default_storage.exists(folder):
        return None
    return {int(name): default_storage.size(f"{folder}/{name}") for name in _names(folder)}


@storage.asked()
def join(key: str, upload_id: str) -> None:
    """Make the parts that are there, in the order of their numbers, the object `key`."""
    if settings.STORAGE_BUCKET:
        parts = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in _listed(key, upload_id) or []]
        storage.s3().complete_multipart_upload(**_object(key), UploadId=upload_id, MultipartUpload={"Parts": parts})
    else:
        storage.write_file(key, _Joined(_folder(upload_id)))
        abort(key, upload_id)


@storage.asked()
def abort(key: str, upload_id: str) -> None:
    """Forget the parts; an upload that is gone already is no error."""
    if settings.STORAGE_BUCKET:
        try:
            storage.s3().abort_multipart_upload(**_object(key), UploadId=upload_id)
        except ClientError as error:
            if not _is_gone(error):
                raise
        return
    folder = _folder(upload_id)
    for name in _names(folder):
        default_storage.delete(f"{folder}/{name}")
    default_storage.delete(folder)


def begun_before(moment: datetime) -> Iterator[tuple[str, str]]:
    """Every upload that storage still takes parts of since before this moment: its key, and its id.

    A local folder knows only the ids, and needs no more: the keys are empty.
    """
    if not settings.STORAGE_BUCKET:
        for folder in Path(default_storage.path(storage.PARTS)).glob("*"):
            if folder.stat().st_mtime < moment.timestamp():
                yield "", folder.name
        return
    pages = storage.s3().get_paginator("list_multipart_uploads")
    for prefix in (storage.UPLOADS, storage.ARCHIVES):  # the bucket may have others' objects as well
        for page in pages.paginate(Bucket=settings.STORAGE_BUCKET, Prefix=prefix):
            for upload in page.get("Uploads", []):
                if upload["Initiated"] < moment:
                    yield upload["Key"], upload["UploadId"]


class _Joined(File):
    """The parts of a local folder as one file that can only be read through, a piece at a time."""

    def __init__(self, folder: str) -> None:
        super().__init__(None, folder)

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        for name in sorted(_names(str(self.name)), key=int):
            with default_storage.open(f"{self.name}/{name}") as part:
                yield from part.chunks(chunk_size)


def _folder(upload_id: str) -> str:
    return f"{storage.PARTS}{upload_id}"


def _names(folder: str) -> list[str]:
    try:
        return default_storage.listdir(folder)[1]
    except FileNotFoundError:  # no part has come yet
        return []


def _object(key: str) -> dict[str, Any]:
    return {"Bucket": settings.STORAGE_BUCKET, "Key": key}


def _listed(key: str, upload_id: str) -> list[dict[str, Any]] | None:
    try:
        return list(storage.s3().list_parts(**_object(key), UploadId=upload_id, MaxParts=MAX_PARTS).get("Parts", []))
    except ClientError as error:
        if _is_gone(error):
            return None
        raise


def _is_gone(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in {"NoSuchUpload", "NoSuchKey", "404"}
