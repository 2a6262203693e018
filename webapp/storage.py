"""Object storage: one flow for a local folder and for S3.

Keys: `uploads/…` as received (deleted after intake), `archives/…` to be unpacked (deleted after that), `parts/…` of
both until they are joined (in a local folder), `images/…` without metadata, `bundles/<SHA-256>/…`, `snapshots/…`; for
a moment `health/…`, by the probes, and `incoming/…`, what a local folder does not have whole yet.
"""

import errno
import os
import secrets
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core import signing
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.urls import reverse

from webapp.s3 import ask_for, named, presigner

logger = structlog.get_logger(__name__)
UPLOAD_SALT = "lesionlens.upload"
UPLOADS = "uploads/"
ARCHIVES = "archives/"
PARTS = "parts/"
INCOMING = "incoming/"
BROKEN_OFF_SECONDS = 3600
PIECE = 1024**2  # bytes
ASKED_AT_ONCE = 8
HURRY: dict[str, Any] = {"connect_timeout": 1, "read_timeout": 2, "retries": {"total_max_attempts": 1}}
OF_ONE_FILE = {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EIO}
NOT_NOW = {408, 409, 429}  # of the answers 4xx, those that may be another the next time


class StorageAway(OSError):
    """Storage could not be asked, which says nothing of the object."""


class ObjectRefused(StorageAway):
    """Storage works, but will not do this with this object: asked as often, it answers the same."""


@contextmanager
def asked() -> Iterator[None]:
    """Within it, what storage raises becomes StorageAway; but that an object is not there stays FileNotFoundError."""
    try:
        yield
    except (FileNotFoundError, StorageAway):
        raise
    except (OSError, BotoCoreError, ClientError) as error:
        kind = ObjectRefused if _is_refusal(error) and _works() else StorageAway
        raise kind(named(error)) from error


@contextmanager
def others_go_on(**which: object) -> Iterator[None]:
    """Within it, an object that storage will not delete keeps no other: `which` is logged, to be asked again later."""
    try:
        yield
    except ObjectRefused as error:
        logger.error("object_not_deleted", **which, error=str(error))


def _is_refusal(error: Exception) -> bool:
    """Whether this may be an answer about one object: also wrong credentials and a wrong bucket look like it."""
    if not isinstance(error, ClientError):
        return isinstance(error, OSError) and error.errno in OF_ONE_FILE
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return 400 <= status < 500 and status not in NOT_NOW and error.response["Error"]["Code"] != "RequestTimeout"


def _works() -> bool:
    """Whether storage takes, gives and deletes an object that means nothing."""
    key = f"health/{uuid.uuid4()}"
    try:
        _write(key, b"")
        _read(key, None)
        default_storage.delete(key)
    except (OSError, BotoCoreError, ClientError):
        return False
    return True


@dataclass(frozen=True)
class UploadTarget:
    """Where and how a client sends one file: `method url` with `headers`, the bytes as the body."""

    method: str
    url: str
    headers: dict[str, str]
    expires_in: int  # seconds


@asked()
def read(key: str, *, limit: int | None = None) -> bytes:
    """The object's bytes, no more than `limit` of them. Raises FileNotFoundError when there is none, StorageAway."""
    return _read(key, limit)


def _read(key: str, limit: int | None) -> bytes:
    if not settings.STORAGE_BUCKET:
        with default_storage.open(key, "rb") as file:
            # Asked for so many, Python first takes memory for them all, which costs more than to read a photo.
            whole = limit is None or os.fstat(file.fileno()).st_size <= limit
            return bytes(file.read(-1 if whole else limit))
    with closing(_body(key)) as body:
        return bytes(body.read(limit))


def pieces(key: str) -> Iterator[bytes]:
    """The object's bytes, PIECE of them at a time. Raises FileNotFoundError when there is none, StorageAway."""
    if not settings.STORAGE_BUCKET:
        with asked(), default_storage.open(key, "rb") as stored:
            yield from stored.chunks(PIECE)
    else:
        with asked(), closing(_body(key)) as body:
            yield from body.iter_chunks(PIECE)


def _body(key: str) -> Any:
    """The object on the S3 server, to be read: the storage's own way asks four times, and takes all into memory."""
    try:
        return s3().get_object(Bucket=settings.STORAGE_BUCKET, Key=key)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            raise FileNotFoundError(key) from error
        raise


@asked()
def write(key: str, data: bytes) -> None:
    """Store the bytes under exactly this key, replacing what was there in one step: tasks may write twice.

    Raises StorageAway.
    """
    _write(key, data)


def _write(key: str, data: bytes) -> None:
    if settings.STORAGE_BUCKET:
        s3().put_object(Bucket=settings.STORAGE_BUCKET, Key=key, Body=data)
    else:
        path, whole = (Path(default_storage.path(name)) for name in (key, f"{INCOMING}{secrets.token_hex(16)}"))
        for folder in (path.parent, whole.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            whole.write_bytes(data)
            whole.replace(path)
        except OSError:
            whole.unlink(missing_ok=True)
            raise


def forget_broken_off() -> int:
    """Delete what processes that died have left half written in a local folder; gives how many files."""
    forgotten = 0
    if settings.STORAGE_BUCKET:
        return forgotten
    for file in Path(default_storage.path(INCOMING)).glob("*"):
        with suppress(FileNotFoundError):  # it is whole by now, or another process has deleted it
            if time.time() - file.stat().st_mtime > BROKEN_OFF_SECONDS:
                file.unlink()
                forgotten += 1
    return forgotten


@asked()
def write_file(key: str, file: "File[bytes]") -> None:
    """Store an open file under exactly this key, replacing what was there, without holding it in memory.

    Raises StorageAway.
    """
    default_storage.save(key, file)


@asked()
def delete(key: str) -> None:
    """Remove the object; one that is gone already is no error. Raises StorageAway."""
    default_storage.delete(key)


@asked()
def size(key: str) -> int | None:
    """The object's size in bytes, or None where there is none. Raises StorageAway."""
    try:
        if not settings.STORAGE_BUCKET:
            return default_storage.size(key)
        return int(s3().head_object(Bucket=settings.STORAGE_BUCKET, Key=key)["ContentLength"])
    except FileNotFoundError:
        return None
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return None
        raise


def sizes(keys: Sequence[str]) -> dict[str, int | None]:
    """The sizes of several objects, by key. An S3 server is asked for a few at once."""
    if not settings.STORAGE_BUCKET:
        return {key: size(key) for key in keys}
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        return dict(zip(keys, pool.map(size, keys), strict=True))


def check() -> None:
    """Find out within seconds whether storage works, for probes. Raises what the storage raises when it does not."""
    if settings.STORAGE_BUCKET:
        ask_for(settings.STORAGE_BUCKET, _s3(_options()["endpoint_url"], hurry=True))
    else:
        key = f"health/{uuid.uuid4()}"
        write(key, b"")
        delete(key)


def upload_target(key: str, *, size: int | None = None) -> UploadTarget:
    """A URL that takes one PUT of the object `key`: presigned on S3, signed by the site for a local folder.

    With a `size` in bytes, a file of any other size is refused on arrival.
    """
    seconds = settings.UPLOAD_URL_SECONDS
    headers = {} if size is None else {"Content-Length": str(size)}
    if settings.STORAGE_BUCKET:
        options = _options()
        signer = presigner(public_s3(), settings.STORAGE_BUCKET, options["access_key"], options["secret_key"])
        url = signer.put(key, size=size, seconds=seconds)
    else:
        url = settings.SITE_URL + _door() + signing.dumps([key, size], salt=UPLOAD_SALT)
    return UploadTarget("PUT", url, headers, seconds)


@lru_cache(maxsize=1)
def _door() -> str:
    """The path before an upload's token; found once, because a batch asks for thousands of URLs."""
    return reverse("cases:put_upload", args=["-"]).removesuffix("-")


def read_upload_token(token: str) -> tuple[str, int | None]:
    """The key that a site-signed upload URL names, and the size that it insists on.

    Raises `django.core.signing.BadSignature` if forged, its subclass `SignatureExpired` if too old.
    """
    key, size = signing.loads(token, salt=UPLOAD_SALT, max_age=settings.UPLOAD_URL_SECONDS)
    return key, size


def s3() -> Any:
    """A client of the S3 server."""
    return _s3(_options()["endpoint_url"])


def public_s3() -> Any:
    """A client that signs for the address that browsers and clinics use, which may differ from ours."""
    return _s3(settings.S3_PUBLIC_ENDPOINT_URL or _options()["endpoint_url"])


def _s3(endpoint: str | None, *, hurry: bool = False) -> Any:
    options = _options()
    return _s3_client(
        endpoint=endpoint,
        region=options["region_name"],
        access_key=options["access_key"],
        secret_key=options["secret_key"],
        config=options["client_config"],
        hurry=hurry,
    )


def _options() -> Any:
    storages: Any = settings.STORAGES
    return storages["default"]["OPTIONS"]


@lru_cache(maxsize=4)
def _s3_client(
    *, endpoint: str | None, region: str, access_key: str | None, secret_key: str | None, config: Config, hurry: bool
) -> Any:
    # Making a client takes 50 ms, and a batch asks for thousands of URLs.
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=config.merge(Config(**HURRY)) if hurry else config,
    )
