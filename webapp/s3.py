"""How the site asks an S3 server: no call may hold a worker, or a page, for as long as the library would wait."""

from functools import lru_cache
from typing import Any, cast
from urllib.parse import quote

import boto3
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

LIMITS: dict[str, Any] = {"connect_timeout": 3, "read_timeout": 20, "retries": {"total_max_attempts": 2}}  # seconds


def client_config(*, addressing: str) -> Config:
    """Of every client, for a server whose buckets are named in the `path` or in the host (`virtual`)."""
    return Config(signature_version="s3v4", s3=cast(Any, {"addressing_style": addressing}), **LIMITS)


def named(error: Exception) -> str:
    """What went wrong: the server's own code where it answered, without any address or name of an object."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


def ask_for(bucket: str, client: Any) -> None:
    """Find out whether the bucket can be used. Raises ClientError with the server's own code, BotoCoreError."""
    try:
        client.head_bucket(Bucket=bucket)
    except ClientError:  # which holds a number alone
        client.list_objects_v2(Bucket=bucket, Prefix="health/", MaxKeys=1)
        raise


@lru_cache(maxsize=1)
def presigner(client: Any, bucket: str, access_key: str | None, secret_key: str | None) -> "Presigner":
    """Signs with these, or with the machine's own role where they are None, for the client's address."""
    credentials = boto3.Session(access_key, secret_key).get_credentials()
    return Presigner(client, bucket, cast(Credentials, credentials))  # without any, the client has said so


class Presigner:
    """Signs addresses for the PUTs of a bucket's objects: those that the library's client signs, in a third of the
    time, since what all of them share is worked out once. A batch asks for thousands.
    """

    def __init__(self, client: Any, bucket: str, credentials: Credentials) -> None:
        example = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "-"}, ExpiresIn=1)
        self._folder = example.partition("?")[0].removesuffix("-")
        self._region = client.meta.region_name
        self._credentials = credentials

    def put(self, key: str, *, size: int | None, seconds: int) -> str:
        """An address that takes one PUT of `key` within these seconds, and no other `size` in bytes."""
        request = AWSRequest("PUT", self._folder + quote(key, safe="/~"))
        if size is not None:
            request.headers["Content-Length"] = str(size)
        S3SigV4QueryAuth(self._credentials.get_frozen_credentials(), "s3", self._region, expires=seconds).add_auth(
            request
        )
        return str(request.url)
