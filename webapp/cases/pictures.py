"""The pictures themselves as responses, for readers who were found to be allowed to see them."""

from io import BytesIO

from django.http import FileResponse, Http404

from ml.imaging.derivatives import thumbnail
from ml.imaging.overlay import render_heatmap, unpack
from webapp import storage
from webapp.cases.models import Image
from webapp.inference.models import Result
from webapp.inference.selectors import answer_of

KINDS = ("clean", "thumbnail", "heatmap")
KEPT_SECONDS = 3600


def picture(image: Image, kind: str) -> FileResponse:
    """One of the `KINDS` of picture of an image, as a stream. Raises Http404 where there is none, StorageAway."""
    if not image.width:  # also of one that is deleted, whatever is left of its files
        raise Http404
    try:
        file = _drawn(image, kind)
    except FileNotFoundError:
        raise Http404 from None
    headers = {"Cache-Control": f"private, max-age={KEPT_SECONDS}", "Content-Disposition": "inline"}
    return FileResponse(file, content_type="image/jpeg", headers=headers)


def _drawn(image: Image, kind: str) -> BytesIO:
    """Only the clean picture is stored; the others are drawn when somebody looks: few look at each of thousands."""
    if kind == "clean":
        return BytesIO(storage.read(image.clean_key))
    if kind == "thumbnail":
        return BytesIO(thumbnail(storage.read(image.clean_key)))
    answer = answer_of(image)
    if answer is None:
        raise Http404
    return BytesIO(heatmap_of(answer))


def heatmap_of(result: Result) -> bytes:
    """The photo with what drew the model towards this result over it, as JPEG.

    Raises FileNotFoundError where the photo is gone.
    """
    return render_heatmap(storage.read(result.image.clean_key), unpack(result.heatmap))
