"""What a version that let one address be told twice has left behind."""

from importlib import import_module

import pytest
from django.db import connection

from tests.factories import EndpointFactory, OrganisationFactory
from webapp.webhooks.models import Endpoint

pytestmark = pytest.mark.django_db


def test_of_several_that_send_to_one_address_the_newest_goes_on_with_the_events_of_them_all() -> None:
    clinic = OrganisationFactory()
    migration = import_module("webapp.webhooks.migrations.0002_enabled_once")
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX webhook_enabled_once")
        url = "https://clinic.example/hook"
        EndpointFactory(organisation=clinic, url=url, event_types=["case.released"])
        EndpointFactory(organisation=clinic, url=url, event_types=["webhook.test"], state=Endpoint.State.DISABLED)
        newest = EndpointFactory(organisation=clinic, url=url, event_types=["batch.completed"])
        others = [EndpointFactory(organisation=clinic), EndpointFactory(url=url)]
        cursor.execute(migration.NEWEST)
        cursor.execute(migration.OTHERS)
    enabled = {endpoint.pk: endpoint for endpoint in Endpoint.objects.filter(state=Endpoint.State.ENABLED)}
    assert enabled.keys() == {newest.pk, *(other.pk for other in others)}
    assert enabled[newest.pk].event_types == ["batch.completed", "case.released"]
    assert all(enabled[other.pk].event_types == other.event_types for other in others)
