"""Images: uploaded, completed, looked at."""

from typing import Any

from django.http import Http404
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from webapp import storage
from webapp.accounts.permissions import Provider, actor_of
from webapp.api.viewsets import ProviderViewSet
from webapp.cases import intake
from webapp.cases.api.answers import ImageSerializer, PartsSerializer, UploadSerializer, parts_of, upload_of
from webapp.cases.api.requests import PartsRequest, UploadUrlRequest
from webapp.cases.models import Image
from webapp.cases.parts import give_up_parts
from webapp.cases.pictures import picture
from webapp.cases.upload_limits import check_size
from webapp.cases.uploads import await_again, complete_upload

JPEG = {(200, "image/jpeg"): OpenApiTypes.BINARY, 304: None}
SAME = "With the `ETag` of an earlier answer as `If-None-Match` the answer is 304 while the picture is the same."


@extend_schema(tags=["images"])
class ImageViewSet(mixins.RetrieveModelMixin, ProviderViewSet[Image]):
    """One image of a case."""

    permission_classes = [Provider]
    queryset = Image.objects.select_related("case")
    serializer_class = ImageSerializer

    @extend_schema(summary="One image, and where its file goes while it is awaited")
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        image = self.get_object()
        self.record_view("image.viewed", image.pk)
        return Response(self.get_serializer(image).data)

    @extend_schema(
        summary="Say that the file has been uploaded",
        description="For several files at once there is `POST /api/v1/batches/{id}/complete`.",
        request=None,
        responses=ImageSerializer,
    )
    @action(detail=True, methods=["post"])
    def complete(self, request: Request, pk: str) -> Response:
        image = complete_upload(image=self.get_object())
        if image.reason:  # its intake has ended meanwhile, or the model has seen it
            self.record_view("image.viewed", image.pk)
        return Response(ImageSerializer(image).data)

    @extend_schema(
        summary="A fresh URL for the file",
        description="Also for another file in the place of one that was refused, while the batch is open: the image is "
        "awaited again. 409 `not_awaited` otherwise.",
        request=UploadUrlRequest,
        responses=UploadSerializer,
    )
    @action(detail=True, methods=["post"], url_path="upload-url")
    def upload_url(self, request: Request, pk: str) -> Response:
        if size := UploadUrlRequest.read(request.data).get("size"):
            check_size(storage.UPLOADS, size)
        image = await_again(actor=actor_of(request), image=self.get_object())
        return Response(upload_of(image, size=size))

    @extend_schema(
        summary="Where the parts of a large file go",
        description="For files above 8 MB, or where connections break. Ask again at any time to learn which parts have "
        "not arrived, with fresh URLs; another `size` begins anew. Then complete the image as ever.",
        request=PartsRequest,
        responses=PartsSerializer,
    )
    @action(detail=True, methods=["post"])
    def parts(self, request: Request, pk: str) -> Response:
        image = self.get_object()
        size = PartsRequest.read(request.data)["size"]
        return Response(parts_of(batch_id=image.batch_id, key=image.awaited_key, size=size))

    @extend_schema(summary="Forget the parts that have arrived", responses={204: None})
    @parts.mapping.delete
    def forget_parts(self, request: Request, pk: str) -> Response:
        give_up_parts(key=self.get_object().awaited_key)
        return Response(status=204)

    @extend_schema(
        summary="Use an image against the advice of the quality check, or of the model that saw no lesion in it",
        description="Of a picture that came for two cases (`in_two_cases`) the call says that it is of this one. Also "
        "when the batch has ended, unless it was cancelled (`batch_cancelled`) or the result of the case was released "
        "(`case_released`). `quality_overridden` of the image in `GET cases/{id}` says so.",
        request=None,
        responses=ImageSerializer,
    )
    @action(detail=True, methods=["post"], url_path="override-quality")
    def override_quality(self, request: Request, pk: str) -> Response:
        image = self.get_object()
        intake.override_quality(actor=actor_of(request), image=image)
        return Response(ImageSerializer(image).data)

    @extend_schema(summary="The picture without metadata, as the model saw it", description=SAME, responses=JPEG)
    @action(detail=True)
    def clean(self, request: Request, pk: str) -> HttpResponseBase:
        return self._picture("clean")

    @extend_schema(summary="Where the model looked", description=SAME, responses=JPEG)
    @action(detail=True)
    def heatmap(self, request: Request, pk: str) -> HttpResponseBase:
        return self._picture("heatmap")

    def _picture(self, kind: str) -> HttpResponseBase:
        image = self.get_object()
        try:
            return picture(self.request, image, kind)
        except Http404 as error:
            raise NotFound(
                "There is no such picture: the image is not checked, usable or answered, or gone."
            ) from error
