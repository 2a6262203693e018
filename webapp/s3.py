"""How the site asks an S3 server: no call may hold a worker, or a page, for as long as the library would wait."""

from typing import Any, cast

from botocore.config import Config
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
