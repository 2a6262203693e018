"""No route shows or changes one organisation's data for anybody else, whatever kind of stranger asks; and none changes
it for its own software with a key that only reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse
from django.utils import timezone

from tests.factories import (
    BatchFactory,
    CaseFactory,
    CaseResultFactory,
    DeliveryFactory,
    EndpointFactory,
    ImageFactory,
    JobFactory,
    LabelFactory,
    MembershipFactory,
    MessageFactory,
    PatientFactory,
    ReleaseFactory,
    ResultFactory,
    RunFactory,
    UserFactory,
    api_key,
)
from tests.webapp.reports.scenes import jpeg
from webapp import storage
from webapp.accounts.models import ApiKey, Membership, Organisation
from webapp.accounts.services import create_api_key
from webapp.audit.services import SYSTEM
from webapp.cases.models import Batch, Case, Image
from webapp.inference.models import Job
from webapp.labels.models import Label
from webapp.notify.models import Message, ResultLink
from webapp.webhooks.models import Delivery, Endpoint

MARK = "MARKEDSECRET"
REFUSED = {401, 403, 404, 405}
# Where one says who one is.
DOORS = {"account_login", "account_request_login_code", "patient:link_open", "patient:link_unknown"}
TELLS_NOTHING = "labels:undo"  # as to a second press, which finds that answer gone
ROLES = (Membership.Role.PROVIDER, Membership.Role.ANNOTATOR, Membership.Role.OPERATOR)
# What these show is no organisation's own: they are for every operator.
SHARED_WITH_OPERATORS = "models:"
WITHOUT_FINDINGS = "webhooks:"

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Clinic:
    """An organisation with one of everything, every name of it marked."""

    organisation: Organisation
    arguments: dict[str, Any]  # by the name of a route's parameter
    by_prefix: dict[str, Any]  # for a parameter `pk`, by the beginning of the route's name


@pytest.fixture
def clinic() -> Clinic:
    key, _ = api_key()
    organisation = key.organisation
    ApiKey.objects.filter(pk=key.pk).update(name=f"key {MARK}")
    batch = BatchFactory(organisation=organisation, name=f"batch {MARK}", completed=True)
    patient = PatientFactory(organisation=organisation, external_id=f"patient {MARK}", user=UserFactory())
    case = CaseFactory(batch=batch, patient=patient, external_id=f"case {MARK}", notes=MARK, released_at=timezone.now())
    image = ImageFactory(case=case, ready=True, filename=f"{MARK}.jpg")
    release = ReleaseFactory(active=True)
    ResultFactory(job=JobFactory(image=image, succeeded=True), release=release)
    storage.write(image.clean_key, jpeg() + MARK.encode())
    CaseResultFactory(case=case, release=release)
    annotator = MembershipFactory(organisation=organisation, role=Membership.Role.ANNOTATOR).user
    label = LabelFactory(image=image, annotator=annotator, note=MARK)
    message = MessageFactory(batch=batch, case=case, recipient=f"{MARK}@home.example", state=Message.State.FAILED)
    ResultLink.objects.create(case=case, token_sha256="0" * 64, expires_at=timezone.now(), tries_left=5)
    endpoint = EndpointFactory(organisation=organisation, description=MARK)
    delivery = DeliveryFactory(endpoint=endpoint, state=Delivery.State.FAILED, ended_at=timezone.now())
    return Clinic(
        organisation,
        {
            "batch_id": batch.pk,
            "case_id": case.pk,
            "patient_id": patient.pk,
            "image_id": image.pk,
            "key_id": key.pk,
            "label_id": label.pk,
            "endpoint_id": endpoint.pk,
            "delivery_id": delivery.pk,
            "kind": "clean",
            "slug": organisation.slug,
            "token": "forged",
        },
        {
            "api:batch": batch.pk,
            "api:image": image.pk,
            "api:case": case.pk,
            "models:release": release.pk,
            "models:promote": release.pk,
            "models:reject": release.pk,
            "models:roll_back": release.pk,
            "models:run": RunFactory().pk,
            "notify:send_again": message.pk,
            "api:webhook": endpoint.pk,
        },
    )


def strangers() -> dict[str, tuple[Client, dict[str, str]]]:
    """A client and its headers for each kind of stranger; all but the first belong to another organisation."""
    _, secret = api_key()
    found: dict[str, tuple[Client, dict[str, str]]] = {
        "anonymous": (Client(), {}),
        "software": (Client(), {"Authorization": f"Bearer {secret}"}),
    }
    members = {str(role): MembershipFactory(role=role).user for role in ROLES}
    patient = PatientFactory(user=UserFactory()).user
    for name, user in {**members, "patient": patient}.items():
        client = Client()
        client.force_login(user)
        found[name] = (client, {})
    return found


def routes() -> Iterator[tuple[str, URLPattern]]:
    """Every route of ours by its full name."""

    def walk(patterns: list[URLPattern | URLResolver], space: str) -> Iterator[tuple[str, URLPattern]]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else space)
            elif pattern.callback.__module__.startswith("webapp."):
                yield f"{space}{pattern.name}", pattern

    return walk(get_resolver().url_patterns, "")


def address(name: str, pattern: URLPattern, clinic: Clinic) -> tuple[str, bool]:
    """The route's address for the clinic's objects, and whether it names one that is the clinic's own."""
    wanted = list(pattern.pattern.converters)
    values = {parameter: clinic.arguments[parameter] for parameter in wanted if parameter != "pk"}
    if "pk" in wanted:
        values["pk"] = next(pk for prefix, pk in clinic.by_prefix.items() if name.startswith(prefix))
    own = bool(wanted) and not {"slug", "token"} & set(wanted)
    return reverse(name, kwargs=values), own


def body(response: HttpResponseBase) -> bytes:
    return b"".join(response) if response.streaming else response.content  # type: ignore[attr-defined]


def refuses(response: HttpResponseBase, method: str) -> bool:
    """Whether nothing was done. A form that worked answers 302, too, but leads to none of the doors."""
    if response.status_code == 302:
        return method == "get" or resolve(urlsplit(response.headers["Location"]).path).view_name in DOORS
    return response.status_code in REFUSED


def state_of_clinics() -> dict[str, list[dict[str, Any]]]:
    """What a stranger might have changed, by its table."""
    tables = (Batch, Case, Image, Job, Label, Message, ResultLink, Endpoint, Delivery, ApiKey)
    used = {"last_used_at"}  # a stranger uses a key of their own
    return {
        table.__name__: [
            {name: value for name, value in row.items() if name not in used}
            for row in table.objects.order_by("pk").values()
        ]
        for table in tables
    }


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_no_route_serves_a_stranger(clinic: Clinic, method: str) -> None:
    outsiders = strangers()
    before = state_of_clinics()
    tried = 0
    for name, pattern in routes():
        url, own = address(name, pattern, clinic)
        for who, (client, headers) in outsiders.items():
            if who == Membership.Role.OPERATOR and name.startswith(SHARED_WITH_OPERATORS):
                continue
            form = {"data": "{}", "content_type": "application/json"} if name.startswith("api:") else {}
            response = client.generic(method.upper(), url, headers=headers, **form)  # type: ignore[arg-type]
            told = f"{who} {method} {url}: {response.status_code}"
            assert response.status_code != 500, told
            assert MARK.encode() not in body(response), f"{who} {method} {url} reveals the clinic's data"
            if own:
                assert refuses(response, method) or name == TELLS_NOTHING, told
            tried += 1
    assert state_of_clinics() == before, "a stranger changed the clinic's rows"
    assert tried > 200


def test_the_marks_are_really_there(clinic: Clinic) -> None:
    """The test above could pass on empty pages: the clinic's own people do see the marks."""
    user = MembershipFactory(organisation=clinic.organisation, role=Membership.Role.PROVIDER).user
    client = Client()
    client.force_login(user)
    seen = 0
    for name, pattern in routes():
        url, _ = address(name, pattern, clinic)
        response = client.get(url)
        seen += response.status_code == 200 and MARK.encode() in body(response)
    assert seen >= 10


@pytest.mark.parametrize("role", ["provider", "annotator", "operator"])
def test_no_browser_keeps_the_marks(clinic: Clinic, role: str) -> None:
    """Whoever has a shared computer next would find them there. A picture is kept, and shown to whoever may see it."""
    Membership.objects.filter(user=Label.objects.get().annotator).update(role=role)
    client = Client()
    client.force_login(Label.objects.get().annotator)
    kept, seen = [], 0
    for name, pattern in routes():
        response = client.get(address(name, pattern, clinic)[0])
        if response.status_code == 200 and MARK.encode() in body(response):
            seen += 1
            rule = response.headers.get("Cache-Control", "")
            if ("no-cache" if response["Content-Type"] == "image/jpeg" else "no-store") not in rule:
                kept.append(name)
    assert seen
    assert [name for name in kept if not name.startswith(WITHOUT_FINDINGS)] == []


def software(clinic: Clinic, *, reads_only: bool) -> Client:
    """The clinic's own, with a key of its own."""
    _, secret = create_api_key(actor=SYSTEM, organisation=clinic.organisation, name="software", reads_only=reads_only)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def calls(clinic: Clinic) -> Iterator[tuple[str, str]]:
    """Every call of the API: the method, and an address of the clinic's."""
    for name, pattern in routes():
        for method in getattr(pattern.callback, "actions", {}):
            yield method, address(name, pattern, clinic)[0]


def test_a_key_that_only_reads_changes_nothing(clinic: Clinic) -> None:
    reader = software(clinic, reads_only=True)
    before = state_of_clinics()
    changes = [(method, url) for method, url in calls(clinic) if method not in ("get", "head")]
    for method, url in changes:
        refused = reader.generic(method.upper(), url, "{}", "application/json")
        assert (refused.status_code, refused.json()["code"]) == (403, "key_reads_only"), f"{method} {url}"
        assert "API keys" in refused.json()["detail"]
    assert state_of_clinics() == before
    assert len(changes) > 20


def test_a_key_that_only_reads_is_answered_like_any_other(clinic: Clinic) -> None:
    reader, other = software(clinic, reads_only=True), software(clinic, reads_only=False)
    asked = [url for method, url in calls(clinic) if method == "get"]
    for url in asked:
        response = reader.get(url)
        assert (response.status_code, other.get(url).status_code) == (200, 200), url
        body(response)
    assert len(asked) > 10


def test_a_key_that_only_reads_is_told_no_address_to_upload_to(clinic: Clinic) -> None:
    reader, other = software(clinic, reads_only=True), software(clinic, reads_only=False)
    image = ImageFactory(case__batch__organisation=clinic.organisation)
    for url in (reverse("api:image-detail", args=[image.pk]), reverse("api:batch-images", args=[image.batch_id])):
        assert "/uploads/" in other.get(url).content.decode()
        assert '"upload":null' in reader.get(url).content.decode()
