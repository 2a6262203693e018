"""Object storage: one flow for a local folder and for S3.

Keys: `uploads/…` as received (deleted after intake), `images/…` derivatives, `heatmaps/…`, `bundles/…`, `snapshots/…`.
"""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from django.conf import settings
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import reverse

UPLOAD_SALT = "lesionlens.upload"


@dataclass(frozen=True)
class UploadTarget:
    """Where and how a client sends one file: `method url` with `headers`, the bytes as the body."""

    method: str
    url: str
    headers: dict[str, str]
    expires_in: int  # seconds


def read(key: str) -> bytes:
    """The object's bytes. Raises FileNotFoundError when there is none."""
    with default_storage.open(key, "rb") as file:
        return file.read()


def write(key: str, data: bytes) -> None:
    """Store the bytes under exactly this key, replacing what was there: tasks may write twice."""
    default_storage.save(key, ContentFile(data))


def delete(key: str) -> None:
    """Remove the object; one that is gone already is no error."""
    default_storage.delete(key)


def size(key: str) -> int | None:
    """The object's size in bytes, or None where there is none."""
    try:
        return default_storage.size(key)
    except FileNotFoundError:
        return None


def upload_target(key: str) -> UploadTarget:
    """A URL that takes one PUT of the object `key`: presigned on S3, signed by the site for a local folder."""
    seconds = settings.UPLOAD_URL_SECONDS
    if settings.STORAGE_BUCKET:
        url = _public_s3().generate_presigned_url(
            "put_object", Params={"Bucket": settings.STORAGE_BUCKET, "Key": key}, ExpiresIn=seconds
        )
    else:
        token = signing.TimestampSigner(salt=UPLOAD_SALT).sign(key)
        url = settings.SITE_URL + reverse("cases:put_upload", args=[token])
    return UploadTarget("PUT", url, {}, seconds)


def key_of_upload_token(token: str) -> str:
    """The key that a site-signed upload URL names. Raises `django.core.signing.BadSignature` if forged or expired."""
    return signing.TimestampSigner(salt=UPLOAD_SALT).unsign(token, max_age=settings.UPLOAD_URL_SECONDS)


def _public_s3() -> Any:
    """A client that signs for the address that browsers and clinics use, which may differ from ours."""
    options = settings.STORAGES["default"]["OPTIONS"]
    return boto3.client(
        "s3",
        endpoint_url=settings.S3_PUBLIC_ENDPOINT_URL or options["endpoint_url"],
        region_name=options["region_name"],
        aws_access_key_id=options["access_key"],
        aws_secret_access_key=options["secret_key"],
        config=Config(signature_version="s3v4", s3={"addressing_style": options["addressing_style"]}),
    )
