"""The pictures themselves as responses, for readers who were found to be allowed to see them."""

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404

from webapp.cases.models import Image
from webapp.inference.models import NEWEST, Result

KINDS = ("clean", "thumbnail", "heatmap")
KEPT_SECONDS = 3600


def picture(image: Image, kind: str) -> FileResponse:
    """One of the `KINDS` of picture of an image, as a stream. Raises Http404 where there is none."""
    try:
        file = default_storage.open(_key(image, kind), "rb")
    except FileNotFoundError:
        raise Http404 from None
    headers = {"Cache-Control": f"private, max-age={KEPT_SECONDS}", "Content-Disposition": "inline"}
    return FileResponse(file, content_type="image/jpeg", headers=headers)


def _key(image: Image, kind: str) -> str:
    if kind == "clean":
        return image.clean_key
    if kind == "thumbnail":
        return image.thumbnail_key
    answers = Result.objects.filter(image=image).order_by(*NEWEST)
    held = image.case.answer
    result = (answers.filter(created_at__lte=held.created_at) if held else answers).first()
    if result is None:
        raise Http404
    return result.heatmap_key
