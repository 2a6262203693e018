"""Where files arrive when storage is a local folder: a signed URL of the site, used like a presigned one of S3."""

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
from webapp.cases.models import Archive, Batch, Image
from webapp.errors import Problem

CHUNK = 256 * 1024
ASK_AGAIN = "Ask for a new one: POST …/upload-url of the image, or repeat the request that made the batch."


@csrf_exempt  # the signed token says who may write, and what
@for_everyone
def put_upload(request: HttpRequest, token: str) -> HttpResponse:
    """Take one PUT of a file's bytes. The answer is 204, or a problem of RFC 9457."""
    try:
        if request.method != "PUT":
            raise Problem("method_not_allowed", "Send the file with PUT, its bytes as the body.", status=405)
        _take(request, token)
    except Problem as problem:
        response = problem_json(problem)
        if problem.status == 405:
            response["Allow"] = "PUT"
        return response
    return HttpResponse(status=204)


def _take(request: HttpRequest, token: str) -> None:
    key, size = _unsign(token)
    is_archive = key.startswith(storage.ARCHIVES)
    _check_awaited(key)
    with TemporaryUploadedFile(key.rpartition("/")[2], "", 0, None) as file:
        _receive(request, file, limit=settings.IMPORT_MAX_BYTES if is_archive else settings.UPLOAD_MAX_BYTES, size=size)
        with transaction.atomic():
            _check_awaited(key, lock=True)  # a file that is being completed is not replaced any more
            storage.write_file(key, file)


def _unsign(token: str) -> tuple[str, int | None]:
    try:
        return storage.read_upload_token(token)
    except SignatureExpired as error:
        raise Problem("upload_url_expired", f"This upload URL has expired. {ASK_AGAIN}", status=403) from error
    except BadSignature as error:
        raise Problem("upload_url_invalid", f"This upload URL was not made here. {ASK_AGAIN}", status=403) from error


def _check_awaited(key: str, *, lock: bool = False) -> None:
    """Raises Problem `not_awaited` unless the object `key` is still to be uploaded."""
    name = key.rpartition("/")[2]
    if key.startswith(storage.ARCHIVES):
        batches = Batch.objects.filter(pk=name.removesuffix(".zip"), state=Batch.State.OPEN)
        batch = (batches.select_for_update() if lock else batches).first()
        awaited = batch is not None and not Archive.objects.filter(batch=batch).exists()
    else:
        images = Image.objects.filter(pk=name, state=Image.State.AWAITING_UPLOAD)
        awaited = (images.select_for_update() if lock else images).first() is not None
    if not awaited:
        raise Problem("not_awaited", "This file was completed or given up already, so it cannot be replaced.")


def _receive(request: HttpRequest, file: TemporaryUploadedFile, *, limit: int, size: int | None) -> None:
    """Stream the body into `file`. Raises Problem: length_required, too_large_bytes, wrong_size, upload_incomplete."""
    try:
        length = int(request.headers.get("Content-Length", ""))
    except ValueError as error:
        raise Problem("length_required", "Say the file's size in a Content-Length header.", status=411) from error
    if length > limit:
        raise Problem("too_large_bytes", f"The file is larger than {limit // 1024**2} MB. Send less.", status=413)
    if size is not None and length != size:
        raise Problem("wrong_size", f"This upload URL takes exactly {size} bytes. {ASK_AGAIN}", status=403)
    try:
        while chunk := request.read(CHUNK):
            file.write(chunk)
    except (UnreadablePostError, BadRequest) as error:
        raise Problem("upload_incomplete", "The connection broke. Send the file again.", status=400) from error
    if file.tell() != length:
        raise Problem("upload_incomplete", "Less arrived than was announced. Send the file again.", status=400)
    file.size = length
    file.seek(0)
