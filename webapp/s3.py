"""How the site asks an S3 server: no call may hold a worker, or a page, for as long as the library would wait."""

from typing import Any, cast

from botocore.config import Config

LIMITS: dict[str, Any] = {"connect_timeout": 3, "read_timeout": 20, "retries": {"total_max_attempts": 2}}  # seconds


def client_config(*, addressing: str) -> Config:
    """Of every client, for a server whose buckets are named in the `path` or in the host (`virtual`)."""
    return Config(signature_version="s3v4", s3=cast(Any, {"addressing_style": addressing}), **LIMITS)
