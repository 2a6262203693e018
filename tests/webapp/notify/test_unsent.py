"""The page of a clinic's messages that have not gone out."""

import html
import re

import pytest
from django.test import Client
from django.urls import reverse

from tests.factories import BatchFactory, MembershipFactory, MessageFactory
from webapp.notify.delivery import UNKNOWN
from webapp.notify.models import Message

pytestmark = pytest.mark.django_db

FAILED = {"state": Message.State.FAILED, "error": UNKNOWN}


def test_every_message_is_within_reach_and_leads_to_what_it_is_about(client: Client) -> None:
    member = MembershipFactory()
    batch = BatchFactory(organisation=member.organisation, name="Ward 7")
    oldest = MessageFactory(case__batch=batch, **FAILED)
    MessageFactory.create_batch(49, case__batch=batch, **FAILED)
    completed = {"kind": Message.Kind.BATCH_COMPLETED, "recipient": "desk@clinic.example"}
    MessageFactory(case=None, batch=batch, **completed, **FAILED)
    client.force_login(member.user)
    address = reverse("notify:messages")
    page = client.get(address).content.decode()
    assert f'href="{reverse("cases:batch", args=[batch.pk])}">Ward 7' in page
    assert oldest.recipient not in page
    [after] = re.findall(r'rel="next" href="([^"]+)"', page)
    page = client.get(address + html.unescape(after)).content.decode()
    assert f'href="{reverse("cases:case", args=[oldest.case_id])}"' in page
    assert oldest.recipient in page
