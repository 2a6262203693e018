"""Where files arrive when storage is a local folder: a signed URL of the site, used like a presigned one of S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import IO

from django.conf import settings
from django.core.exceptions import BadRequest
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.signing import BadSignature, SignatureExpired
from django.db import transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from webapp import storage
from webapp.accounts.permissions import for_everyone
from webapp.api.problems import problem_json
from webapp.cases.models import PartedUpload
from webapp.cases.upload_limits import check_awaited, check_size
from webapp.errors import Problem

CHUNK = 256 * 1024
ASK_AGAIN = "Ask for a new one: POST …/upload-url of the image, or repeat the request that made the batch."
ANOTHER_SIZE = "For an archive of another size ask POST …/archive/parts of the batch."


@csrf_exempt  # the signed token says who may write, and what
@for_everyone
def put_upload(request: HttpRequest, token: str) -> HttpResponse:
    """Take one PUT of a file's bytes. The answer is 204, or a problem of RFC 9457."""
    try:
        if request.method != "PUT":
            raise Problem("method_not_allowed", "Send the file with PUT, its bytes as the body.", status=405)
        if request.content_type == "multipart/form-data":
            raise Problem("form_not_taken", "Send the file itself as the body of the request, in no form.", status=415)
        _take(request, token)
    except Problem as problem:
        response = problem_json(problem)
        if problem.status == 405:
            response["Allow"] = "PUT"
        return response
    return HttpResponse(status=204)


def _take(request: HttpRequest, token: str) -> None:
    key, size = _unsign(token)
    whole = _whole(key)
    length = _length(request, key=whole, size=size)
    if length <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE:  # it is here as soon as the database has answered
        body = BytesIO()
        _receive(request, body, length)
        with _awaited(key, whole):
            storage.write(key, body.getvalue())
        return
    check_awaited(whole)
    with TemporaryUploadedFile(key.rpartition("/")[2], "", length, None) as file:
        _receive(request, file, length)
        file.seek(0)
        with _awaited(key, whole):
            storage.write_file(key, file)


@contextmanager
def _awaited(key: str, whole: str) -> Iterator[None]:
    """The moment in which an awaited file is written. Raises Problem `not_awaited`."""
    if key.startswith(storage.UPLOADS):
        # Intake reads a photo once, so one that is replaced while it is completed does no harm, as with a URL of S3.
        check_awaited(key)
        yield
        return
    with transaction.atomic():  # nobody joins the parts or unpacks the archive meanwhile
        _whole(key, lock=True)
        check_awaited(whole, lock=True)
        yield


def _whole(key: str, *, lock: bool = False) -> str:
    """The object that a part belongs to; any other key is itself. Raises Problem `not_awaited`. `lock` keeps it so."""
    if not key.startswith(storage.PARTS):
        return key
    uploads = PartedUpload.objects.filter(upload_id=key.split("/")[1])
    upload = (uploads.select_for_update() if lock else uploads).first()
    if upload is None:
        raise Problem("not_awaited", "The parts of this file were joined or given up already.")
    return upload.key


def _unsign(token: str) -> tuple[str, int | None]:
    try:
        return storage.read_upload_token(token)
    except SignatureExpired as error:
        raise Problem("upload_url_expired", f"This upload URL has expired. {ASK_AGAIN}", status=403) from error
    except BadSignature as error:
        raise Problem("upload_url_invalid", f"This upload URL was not made here. {ASK_AGAIN}", status=403) from error


def _length(request: HttpRequest, *, key: str, size: int | None) -> int:
    """The bytes that the request says will come. Raises Problem `length_required`, `too_large_bytes`, `wrong_size`."""
    try:
        length = int(request.META.get("CONTENT_LENGTH", ""))
    except ValueError as error:
        raise Problem("length_required", "Say the file's size in a Content-Length header.", status=411) from error
    check_size(key, length)
    if size is not None and length != size:
        again = ANOTHER_SIZE if key.startswith(storage.ARCHIVES) else ASK_AGAIN
        raise Problem("wrong_size", f"This upload URL takes exactly {size} bytes. {again}", status=403)
    return length


def _receive(request: HttpRequest, file: IO[bytes], length: int) -> None:
    """Stream the body of so many bytes into `file`. Raises Problem `upload_incomplete`."""
    try:
        while chunk := request.read(CHUNK):
            file.write(chunk)
    except (UnreadablePostError, BadRequest) as error:
        raise Problem("upload_incomplete", "The connection broke. Send the file again.", status=400) from error
    if file.tell() != length:
        raise Problem("upload_incomplete", "Less arrived than was announced. Send the file again.", status=400)
