"""The pictures themselves, for those who may see them."""

import uuid

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404

from webapp.accounts.permissions import Role, for_roles
from webapp.cases.pictures import KINDS, picture
from webapp.cases.selectors import viewable_images


@for_roles(Role.PROVIDER, Role.ANNOTATOR, "patient")
def image_file(request: HttpRequest, image_id: uuid.UUID, kind: str) -> HttpResponseBase:
    """A picture of an image: `clean`, `thumbnail` or `heatmap`."""
    if kind not in KINDS:
        raise Http404
    image = get_object_or_404(viewable_images(request.user, kind).select_related("organisation"), pk=image_id)
    return picture(request, image, kind)
