"""Webhooks by API: where events go, the secret that signs them, and what became of each delivery."""

import json
import uuid
from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.accounts.permissions import Provider, actor_of
from webapp.api.bodies import Body
from webapp.api.choices import OneOf, OneOfFilter
from webapp.api.viewsets import ProviderViewSet
from webapp.webhooks import services
from webapp.webhooks.addresses import MAX_URL
from webapp.webhooks.models import TEST, Delivery, Endpoint, EventType


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    """Where events go, and how that fares."""

    failing_since = serializers.DateTimeField(
        allow_null=True, help_text="Since when no delivery has succeeded, if one was tried; null while they succeed"
    )

    class Meta:
        model = Endpoint
        fields = ["id", "url", "description", "event_types", "state", "failing_since", "created_at"]
        read_only_fields = fields


class SecretSerializer(serializers.Serializer[Any]):
    """A signing secret, in the answer to who made it and never again."""

    secret = serializers.CharField(help_text="whsec_…")


class NewEndpointSerializer(EndpointSerializer):
    """A new endpoint, with its secret."""

    secret = serializers.CharField(help_text="whsec_…, shown only this once")

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]


class EndpointRequest(Body):
    """Where to, and what."""

    url = serializers.CharField(max_length=MAX_URL)
    event_types = serializers.ListField(child=OneOf(EventType.choices), allow_empty=False)
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)


class EndpointChange(EndpointRequest):
    """What is left out stays as it is."""

    enabled = serializers.BooleanField(required=False, help_text="false: nothing more is sent, and nothing kept for it")


class ReplayRequest(Body):
    """Which failed deliveries are sent again."""

    since = serializers.DateTimeField(help_text="Those of events that happened then or later")


class ReplayedSerializer(serializers.Serializer[Any]):
    """How many are sent again."""

    replayed = serializers.IntegerField()


class AttemptSerializer(serializers.Serializer[Any]):
    """One try."""

    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True, help_text="Of the answer; null where none came")
    milliseconds = serializers.IntegerField()
    error = serializers.CharField(help_text="Why it failed, in a sentence; empty where it did not")


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One event for one endpoint. `id` is its `webhook-id`."""

    event = serializers.SerializerMethodField(help_text="What is sent: `type`, `timestamp` and `data`")
    next_attempt_at = serializers.SerializerMethodField()
    attempts = AttemptSerializer(source="log", many=True, read_only=True, help_text="The latest 30, oldest first")

    class Meta:
        model = Delivery
        fields = ["id", "type", "state", "event", "error", "next_attempt_at", "attempts", "created_at", "ended_at"]
        read_only_fields = fields

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_event(self, delivery: Delivery) -> Any:
        return json.loads(delivery.body)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_attempt_at(self, delivery: Delivery) -> Any:
        return delivery.send_after if delivery.state == Delivery.State.PENDING else None


class DeliveryFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no types
    """Of one endpoint's deliveries."""

    state = OneOfFilter(choices=Delivery.State.choices)
    type = OneOfFilter(choices=[*EventType.choices, (TEST, "A test")])


@extend_schema_view(
    list=extend_schema(summary="Your webhooks, newest first"), retrieve=extend_schema(summary="One webhook")
)
@extend_schema(tags=["webhooks"])
class WebhookViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProviderViewSet[Endpoint]):
    """Where your software is told what happens."""

    permission_classes = [Provider]
    queryset = Endpoint.objects.select_related("organisation")
    serializer_class: type[serializers.BaseSerializer[Any]] = EndpointSerializer
    filterset_class: type[filters.FilterSet] | None = None

    @extend_schema(
        summary="Add a webhook",
        description="The answer has the secret that signs its events. It is never shown again. 409 `webhook_exists` "
        "where an enabled webhook has this URL, with its `webhook_id`: where the answer was lost, ask for a new secret "
        "with `POST /api/v1/webhooks/{id}/rotate`.",
        request=EndpointRequest,
        responses={201: NewEndpointSerializer},
    )
    def create(self, request: Request) -> Response:
        wanted = EndpointRequest.read(request.data)
        endpoint, secret = services.create_endpoint(actor=actor_of(request), organisation=self.organisation, **wanted)
        return Response({**EndpointSerializer(endpoint).data, "secret": secret}, status=201)

    @extend_schema(
        summary="Change a webhook",
        description="409 `webhook_exists`, and nothing is changed, where another enabled webhook has its URL.",
        request=EndpointChange,
        responses=EndpointSerializer,
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        endpoint, actor = self.get_object(), actor_of(request)
        wanted = EndpointChange.read(request.data, partial=True)
        enabled = wanted.pop("enabled", None)
        with transaction.atomic():  # all of it or nothing
            if enabled is False:
                services.disable(actor=actor, endpoint=endpoint)
            if wanted:
                services.change_endpoint(actor=actor, endpoint=endpoint, **wanted)
            if enabled:
                services.enable(actor=actor, endpoint=endpoint)
        endpoint.refresh_from_db()
        return Response(EndpointSerializer(endpoint).data)

    @extend_schema(summary="Remove a webhook with its log", responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        services.remove_endpoint(actor=actor_of(request), endpoint=self.get_object())
        return Response(status=204)

    @extend_schema(
        summary="Make a new secret",
        description="For 24 hours events carry a signature by the secret before too. Where the answer was lost, ask "
        "again: each secret from before signs on until its own 24 hours are over, so what your software has still "
        f"verifies. While {services.MAX_SECRETS} sign, a further one is refused with 409 `too_many_secrets`.",
        request=None,
        responses=SecretSerializer,
    )
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        return Response({"secret": services.rotate_secret(actor=actor_of(request), endpoint=self.get_object())})

    @extend_schema(
        summary="Send a `webhook.test` event now",
        description="Once, also to a webhook that is disabled. The answer says what became of it within 5 seconds.",
        request=None,
        responses=DeliverySerializer,
    )
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        delivery = services.send_test(actor=actor_of(request), endpoint=self.get_object())
        return Response(DeliverySerializer(delivery).data)

    @extend_schema(
        summary="What became of the events for a webhook, newest first",
        filters=True,
        responses=DeliverySerializer(many=True),
    )
    @action(detail=True, filterset_class=DeliveryFilter, serializer_class=DeliverySerializer)
    def deliveries(self, request: Request, pk: str) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_object().deliveries.all()))  # type: ignore[arg-type]
        return self.get_paginated_response(DeliverySerializer(page, many=True).data)

    @extend_schema(summary="Send one delivery again", request=None, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"], url_path="deliveries/<uuid:delivery_id>/replay")
    def replay(self, request: Request, pk: str, delivery_id: uuid.UUID) -> Response:
        rows = self.get_object().deliveries.select_related("endpoint__organisation")
        delivery = get_object_or_404(rows, pk=delivery_id)
        services.replay(actor=actor_of(request), delivery=delivery)
        delivery.refresh_from_db()
        return Response(DeliverySerializer(delivery).data, status=202)

    @extend_schema(
        summary="Send again what failed since a time", request=ReplayRequest, responses={202: ReplayedSerializer}
    )
    @action(detail=True, methods=["post"], url_path="replay-failed")
    def replay_failed(self, request: Request, pk: str) -> Response:
        endpoint = self.get_object()
        since = ReplayRequest.read(request.data)["since"]
        count = services.replay_failed(actor=actor_of(request), endpoint=endpoint, since=since)
        return Response({"replayed": count}, status=202)
