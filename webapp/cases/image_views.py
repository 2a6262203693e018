"""The pictures themselves, for those who may see them."""

import uuid

from django.http import FileResponse, Http404, HttpRequest
from django.shortcuts import get_object_or_404

from webapp.accounts.permissions import Role, actor_of, for_roles
from webapp.audit.services import record
from webapp.cases.pictures import KINDS, picture
from webapp.cases.selectors import viewable_images


@for_roles(Role.PROVIDER, Role.ANNOTATOR, "patient")
def image_file(request: HttpRequest, image_id: uuid.UUID, kind: str) -> FileResponse:
    """A picture of an image: `clean`, `thumbnail` or `heatmap`. Views of all but thumbnails are audited."""
    if kind not in KINDS:
        raise Http404
    image = get_object_or_404(viewable_images(request.user, kind).select_related("organisation"), pk=image_id)
    response = picture(image, kind)
    if kind != "thumbnail":
        record(
            actor=actor_of(request),
            action="image.viewed",
            object_id=image.pk,
            organisation=image.organisation,
            detail=kind,
        )
    return response
