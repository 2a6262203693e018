"""The pictures themselves as responses, for readers who were found to be allowed to see them."""

from hashlib import sha256
from io import BytesIO

from django.http import FileResponse, Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request

from ml.imaging.derivatives import thumbnail
from ml.imaging.overlay import render_heatmap, unpack
from webapp import storage
from webapp.accounts.permissions import actor_of
from webapp.audit.services import record
from webapp.cases.models import Image
from webapp.inference.models import Result
from webapp.inference.selectors import answer_of

KINDS = ("clean", "thumbnail", "heatmap")


def picture(request: HttpRequest | Request, image: Image, kind: str, *, how: str = "") -> HttpResponseBase:
    """One of the `KINDS` of picture of an image, as a stream, or 304 where the reader has it already.

    Views of all but thumbnails are audited; `how` says there how the reader came. A browser asks each time whether the
    picture is still the same: another file may have taken its place, and another release the heatmap's.
    Raises Http404 where there is none, StorageAway.
    """
    if not image.width:  # also of one that is deleted, whatever is left of its files
        raise Http404
    answer = answer_of(image) if kind == "heatmap" else None
    if kind == "heatmap" and answer is None:
        raise Http404
    etag = _etag(image, kind, answer)
    response: HttpResponseBase | None = get_conditional_response(request, etag=etag)
    if response is None:
        response = _sent(image, kind, answer)
    response["ETag"], response["Cache-Control"] = etag, "private, no-cache"
    if kind != "thumbnail":
        detail = f"{kind}, {how}" if how else kind
        record(
            actor=actor_of(request),
            action="image.viewed",
            object_id=image.pk,
            organisation=image.organisation,
            detail=detail,
        )
    return response


def _etag(image: Image, kind: str, answer: Result | None) -> str:
    """Another one for each file that takes the image's place, and for each answer that draws its heatmap."""
    drawn_from = f"{image.clean_key} {kind} {answer.pk if answer else ''}"
    return f'"{sha256(drawn_from.encode()).hexdigest()}"'


def _sent(image: Image, kind: str, answer: Result | None) -> FileResponse:
    """Only the clean picture is stored; the others are drawn when somebody looks: few look at each of thousands."""
    try:
        if answer is not None:
            file = heatmap_of(answer)
        else:
            file = storage.read(image.clean_key)
            file = thumbnail(file) if kind == "thumbnail" else file
    except FileNotFoundError:
        raise Http404 from None
    return FileResponse(BytesIO(file), content_type="image/jpeg", headers={"Content-Disposition": "inline"})


def heatmap_of(result: Result) -> bytes:
    """The photo with what drew the model towards this result over it, as JPEG.

    Raises FileNotFoundError where the photo is gone.
    """
    return render_heatmap(storage.read(result.image.clean_key), unpack(result.heatmap))
