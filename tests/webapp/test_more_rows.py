"""No page, and no list of the API, asks the database more often because there is more to show."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    ConsensusFactory,
    DeliveryFactory,
    EndpointFactory,
    ImageFactory,
    JobFactory,
    LabelFactory,
    MembershipFactory,
    MessageFactory,
    OrganisationFactory,
    PatientFactory,
    ReleaseFactory,
    ResultFactory,
    RunFactory,
    UserFactory,
    api_key,
)
from webapp.accounts.models import Membership, User
from webapp.audit.models import Event
from webapp.cases.models import Image
from webapp.registry.models import ModelRelease
from webapp.webhooks.models import Delivery

pytestmark = pytest.mark.django_db
Role = Membership.Role


class Clinic:
    """An organisation with its people, a batch, a webhook and a release, and ever more beside them."""

    def __init__(self) -> None:
        self.organisation = OrganisationFactory()
        self.patient = PatientFactory(organisation=self.organisation, user=UserFactory())
        self.people: dict[str, User] = {
            role: MembershipFactory(organisation=self.organisation, role=role).user for role in Role
        }
        self.people |= {"patient": self.patient.user, "administrator": UserFactory(is_superuser=True, is_staff=True)}
        self.batch = BatchFactory(organisation=self.organisation, completed=True)
        self.endpoint = EndpointFactory(organisation=self.organisation)
        self.release = ReleaseFactory(active=True)
        self.run = RunFactory(parent=self.release, evaluated=True)

    def grow(self) -> None:
        """One more of everything that a list shows."""
        now, of_it = timezone.now(), {"organisation": self.organisation}
        case = CaseFactory(batch=self.batch)
        own = CaseFactory(
            batch=BatchFactory(source="patient", completed=True, **of_it), patient=self.patient, released_at=now
        )
        for one in (case, own):
            image = ImageFactory(case=one, ready=True)
            result = ResultFactory(job=JobFactory(image=image, succeeded=True), release=self.release)
            CaseResultFactory(case=one, release=self.release)
            LabelFactory(image=image, annotator=self.people[Role.ANNOTATOR])
            ConsensusFactory(image=image, result=result)
            for person in (self.people[Role.PROVIDER], self.patient.user, UserFactory(), None):
                Event.objects.create(user=person, action="case.viewed", object_id=str(one.pk), **of_it)
        ImageFactory(case=case, state=Image.State.REJECTED, reason="blurred", stored_at=now, ended_at=now)
        ImageFactory(case=CaseFactory(batch=BatchFactory(**of_it)))
        CaseFactory(batch=BatchFactory(state="completed_with_failures", submitted_at=now, finished_at=now, **of_it))
        raised = CaseResultFactory(case__batch=self.batch).case
        type(raised).objects.filter(pk=raised.pk).update(released_at=now, raised_at=now)
        disputed = ImageFactory(case=case, ready=True)
        for dx in ("MEL", "NV", "BCC"):
            LabelFactory(image=disputed, dx=dx)
        MessageFactory(batch=self.batch, case=case, state="failed")
        key, _ = api_key(**of_it)
        Event.objects.create(api_key=key, action="batch.viewed", object_id=str(self.batch.pk), **of_it)
        DeliveryFactory(endpoint=self.endpoint, state=Delivery.State.FAILED, ended_at=now)
        EndpointFactory(**of_it)
        ReleaseFactory()
        ReleaseFactory(state=ModelRelease.State.RETIRED, decided_at=now)
        RunFactory(parent=self.release, evaluated=True, requested_by=self.people[Role.OPERATOR])

    def pages(self, role: str) -> Iterator[str]:
        """The addresses that somebody of this role reads lists at."""
        batch, release, run = [self.batch.pk], [self.release.pk], [self.run.pk]
        match role:
            case Role.PROVIDER:
                yield from map(reverse, ["cases:batches", "cases:to_review", "notify:messages", "accounts:api_keys"])
                yield from map(reverse, ["webhooks:endpoints", "audit:events"])
                yield from (reverse(name, args=batch) for name in ("cases:batch", "cases:batch_progress"))
                yield reverse("webhooks:endpoint", args=[self.endpoint.pk])
                yield from map(reverse, ["api:batch-list", "api:case-list", "api:webhook-list"])
                yield reverse("api:batch-images", args=batch)
                yield reverse("api:webhook-deliveries", args=[self.endpoint.pk])
            case Role.ANNOTATOR:
                yield from map(reverse, ["labels:queue", "labels:mine", "labels:disagreements"])
            case Role.OPERATOR:
                yield from map(reverse, ["models:releases", "models:runs", "operations:queues", "audit:events"])
                yield from map(reverse, ["notify:messages"])
                yield reverse("models:release", args=release)
                yield reverse("models:run", args=run)
            case "patient":
                yield reverse("patient:home")
            case "administrator":
                listed = ["accounts_organisation", "accounts_membership", "accounts_user", "accounts_patient"]
                listed += ["audit_event", "registry_modelrelease"]
                yield from (reverse(f"admin:{name}_changelist") for name in listed)


def queries(client: Client, address: str) -> int:
    for _ in range(2):  # what is written down once, such as who looked, is written down by the first
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code < 300, address
    return len(captured)


@pytest.mark.parametrize("role", [*Role, "patient", "administrator"])
def test_more_rows_cost_no_more_queries(client: Client, role: str) -> None:
    clinic = Clinic()
    client.force_login(clinic.people[role])

    def grown() -> dict[str, int]:
        clinic.grow()
        return {address: queries(client, address) for address in clinic.pages(role)}

    few, many = grown(), grown()
    assert {address: (few[address], many[address]) for address in few if many[address] > few[address]} == {}
