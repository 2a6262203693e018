"""What the form of the page “New batch” sends."""

from typing import Any
from uuid import uuid4

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

NEW = reverse("cases:batch_new")


def upload(client: Client, *files: tuple[str, bytes], **fields: str) -> Any:
    """The answer to the form with these files, each a case unless `fields` say otherwise."""
    uploaded = [SimpleUploadedFile(name, data) for name, data in files]
    return client.post(
        NEW, {"key": str(uuid4()), "grouping": "each", "capture": "dermoscopic", "files": uploaded, **fields}
    )
