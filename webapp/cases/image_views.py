"""The pictures themselves, for those who may see them."""

import uuid

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest
from django.shortcuts import get_object_or_404

from webapp.accounts.permissions import Role, actor_of, for_roles
from webapp.audit.services import record
from webapp.cases.models import Image
from webapp.cases.selectors import viewable_images
from webapp.inference.models import NEWEST, Result

KINDS = ("clean", "thumbnail", "heatmap")
KEPT_SECONDS = 3600


@for_roles(Role.PROVIDER, Role.ANNOTATOR, "patient")
def image_file(request: HttpRequest, image_id: uuid.UUID, kind: str) -> FileResponse:
    """A picture of an image: `clean`, `thumbnail` or `heatmap`. Views of all but thumbnails are audited."""
    if kind not in KINDS:
        raise Http404
    image = get_object_or_404(viewable_images(request.user, kind).select_related("organisation"), pk=image_id)
    response = image_response(image, kind)
    if kind != "thumbnail":
        record(
            actor=actor_of(request),
            action="image.viewed",
            object_id=image.pk,
            organisation=image.organisation,
            detail=kind,
        )
    return response


def image_response(image: Image, kind: str) -> FileResponse:
    """One picture as a stream, for a reader who was found to be allowed to see it; Http404 where there is none."""
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
    result = Result.objects.filter(image=image).order_by(*NEWEST).first()
    if result is None:
        raise Http404
    return result.heatmap_key
